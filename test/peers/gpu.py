#!/usr/bin/env python3
# Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Everything that is compared with PyTorch on a GPU, in one command: compiles, checks against float32, prints ratios.

  test/peers/gpu.py both DIR                                  on a machine with the compiler and the GPU
  test/peers/gpu.py compile DIR; test/peers/gpu.py run DIR    on two; DIR and test/peers are copied between them

A script of this folder makes each part, in a folder of DIR of its own; a script's --help says what is compared and how.
What one part finds wrong does not keep the others from running.
"""
import os
import subprocess
import sys
import time

from harness import ACTIONS, fail, make_parser

# What is done where the GPU is, in this order.
PARTS = {"layers": ("moe_layer_gpu.py", ["check", "run"]), "matmul": ("matmul_gpu.py", ["run"]),
         "attention": ("attention_gpu.py", ["run"]), "few-rows": ("few_rows_gpu.py", ["run"]),
         "memory": ("memory_gpu.py", ["run"])}


def call_part(name, action, folder, options=()):
    """Whether the part's script was content."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), PARTS[name][0])
    print(f"== {name}: {action}", flush=True)
    begin = time.monotonic()
    code = subprocess.run([sys.executable, script, action, os.path.join(folder, name), *options]).returncode
    print(f"== {name}: {action} {'done' if code == 0 else f'FAILED ({code})'}, {time.monotonic() - begin:.0f} s", flush=True)
    return code == 0


def parts_of(text):
    names = text.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        fail(f"there is no part '{unknown[0]}'; there are: {', '.join(PARTS)}")
    return names


def main():
    parser, parsers = make_parser(__doc__, ACTIONS)
    for command in parsers.values():
        command.add_argument("--only", metavar="PART,...", type=parts_of, default=list(PARTS), help=f"of {', '.join(PARTS)}")
    options = parser.parse_args()
    results = {}
    if options.action in ("compile", "both"):
        for name in options.only:
            results[name, "compile"] = call_part(name, "compile", options.folder, ["--build", options.build])
    if options.action in ("run", "both"):
        for name in options.only:
            for action in PARTS[name][1] if results.get((name, "compile"), True) else []:
                results[name, action] = call_part(name, action, options.folder)
    failed = [" ".join(key) for key, right in results.items() if not right]
    print(f"failed: {', '.join(failed)}" if failed else "everything is right")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
