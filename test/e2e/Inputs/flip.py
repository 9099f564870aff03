"""flip.py FILE: turns one bit near the end of a file."""
import sys

with open(sys.argv[1], "r+b") as file:
    file.seek(-9, 2)
    byte = file.read(1)[0]
    file.seek(-9, 2)
    file.write(bytes([byte ^ 1]))
