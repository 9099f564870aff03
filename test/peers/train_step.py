#!/usr/bin/env python3
# Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times a training step of a description in PyTorch and in moe-run on this CPU, and prints the ratio.

  test/peers/train_step.py [--model docs/models/tiny.mlir] [--build build] [--threads 2] [--rounds 5]

Both do the same: forward, loss, backward, clipping by global norm, AdamW, in float32, on the same threads. The PyTorch
side is the plain model of test/golden/model.py with torch.optim.AdamW. Rounds alternate between the two, because a shared
machine changes its speed; a round's figure is the median of its steps, the printed one the median of the rounds. Needs
PyTorch (Debian: python3-torch).
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import torch

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "test", "golden"))
import model  # noqa: E402

STEPS = 5  # in a round


class Peer:
    """The description's training step in PyTorch."""

    def __init__(self, text):
        self.description = model.Description(text)
        generator = torch.Generator().manual_seed(1)
        self.variables = {}
        for name, shape, kind in self.description.variables():
            value = torch.ones(shape) if kind == "ones" else torch.randn(shape, generator=generator) * 0.02
            self.variables[name] = value if kind != "buffer" else torch.zeros(shape)
            self.variables[name].requires_grad_(kind != "buffer")
        training = self.description.training
        self.parameters = [value for value in self.variables.values() if value.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-4, betas=(training["beta1"], training["beta2"]),
                                           eps=training["epsilon"], weight_decay=training["weight_decay"])
        shape = (training["batch_size"], training["sequence_length"])
        vocabulary = self.description.model["vocab_size"]
        self.tokens, self.targets = torch.randint(0, vocabulary, (2, *shape), generator=generator)
        self.weights = torch.ones(shape)

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss, aux_loss, _ = model.objective(self.description, self.variables, self.tokens, self.targets, self.weights)
        (loss + aux_loss).backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.description.training["max_grad_norm"])
        self.optimizer.step()

    def seconds(self):
        times = []
        for _ in range(STEPS):
            begin = time.perf_counter()
            self.step()
            times.append(time.perf_counter() - begin)
        return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=os.path.join(TOP, "docs", "models", "tiny.mlir"))
    parser.add_argument("--build", default=os.path.join(TOP, "build"))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    with open(options.model, encoding="utf-8") as file:
        peer = Peer(file.read())
    artifact = os.path.join(options.build, "peer.moe")
    tool = lambda name: os.path.join(options.build, "bin", name)
    subprocess.run([tool("moe-opt"), options.model, "--moe-compile=target=cpu", "-o", artifact], check=True)

    peer.step()
    theirs, ours = [], []
    for _ in range(options.rounds):
        theirs.append(peer.seconds())
        report = subprocess.run([tool("moe-run"), "bench", artifact, "--repeat", str(STEPS), "--threads",
                                 str(options.threads), "--json"], check=True, capture_output=True)
        ours.append(json.loads(report.stdout)["seconds"])
    their, our = statistics.median(theirs), statistics.median(ours)
    print(f"PyTorch {torch.__version__}: {their * 1e3:.2f} ms a step, moe-run: {our * 1e3:.2f} ms, "
          f"{options.threads} threads: {their / our:.2f} times as fast")


main()
