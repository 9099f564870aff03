"""set-element.py FILE TENSOR INDEX VALUE: overwrites an element of a tensor of bf16 in a safetensors file."""
import json
import struct
import sys

path, tensor, index, value = sys.argv[1:]
with open(path, "r+b") as file:
    size = struct.unpack("<Q", file.read(8))[0]
    entry = json.loads(file.read(size))[tensor]
    assert entry["dtype"] == "BF16"
    file.seek(8 + size + entry["data_offsets"][0] + 2 * int(index))
    file.write(struct.pack("<f", float(value))[2:])
