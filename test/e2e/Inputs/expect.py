"""expect.py CODE WORDS -- COMMAND...: the command exits with CODE, and its stderr holds WORDS."""
import subprocess
import sys

code, words, command = int(sys.argv[1]), sys.argv[2], sys.argv[4:]
result = subprocess.run(command, capture_output=True, text=True)
if result.returncode != code or words not in result.stderr:
    sys.exit(f"expected exit code {code} and '{words}'; got {result.returncode} and\n{result.stderr}{result.stdout}")
