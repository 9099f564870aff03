#!/usr/bin/env python3
# Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times mixture-of-experts layers on a GPU against PyTorch's, and checks them against float32.

PyTorch's side is what a user writes: router, softmax and top-k, sort, index_select, torch._grouped_mm, silu and multiply,
and a sum of weighted rows by index_add, eager and under torch.compile; a CUDA graph for at most 1024 tokens, forward only.
Weights, inputs and routing are drawn in the same way. For each shape, moe-run measures before and after PyTorch: its
figure is the mean of the two, and how far they are apart is printed. Both sides flush the level-2 cache before each run.
Ratios are PyTorch's time over ours.

`check` lets moe-run save what each point took and gave, in a run after those that it times, and computes the same in float32,
on the CPU if PyTorch has no GPU. Printed are the error of the whole tensor and of its worst row, relative to their norms.

Further options go to moe-bench (compile), or to moe-run bench (run, both, check): --shape, --tokens, --routing and others.
"""
import argparse
import json
import os
import queue
import random
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

from harness import ACTIONS, call, fail, find_tool, load_torch, make_parser

GRAPH_TOKENS = 1024
SECONDS, LEAST, MOST, PAUSE = 0.15, 10, 100, 0.02
WEIGHTS = ["mlp.gate.weight", "mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
# Rounding to bf16 is 1.66e-3 of a normal number. Activations, rows of experts and y are stored in it: three roundings, whose
# errors are independent, make 2.9e-3. A gradient has gone through up to seven (4.4e-3), some of them twice.
TOLERANCE = {"y": 3.5e-3, "gradient": 5.5e-3}
# Of a single row. One wrong element among the 7168 of the longest rows makes 1.2e-2.
ROW_TOLERANCE = 2
TIE = 1e-5     # Scores nearer than that, relative to them, are in no order: float32 adds up to some thousand products.
CHUNK = 8192   # Rows at a time.
AT_ONCE = 3    # Layers that are saved at a time.


def device():
    """Where float32 is computed: not necessarily where moe-run's layers were."""
    import torch
    return "cuda" if torch.cuda.is_available() else "cpu"


def read(path):
    """The tensors of a safetensors file, on `device()`."""
    import numpy
    import torch
    types = {"BF16": torch.bfloat16, "F32": torch.float32, "I32": torch.int32}
    data = numpy.memmap(path, dtype=numpy.uint8, mode="c")
    size = struct.unpack("<Q", data[:8].tobytes())[0]
    header = json.loads(data[8:8 + size].tobytes())
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        part = torch.from_numpy(data[8 + size + begin:8 + size + end])
        tensors[name] = part.to(device()).view(types[entry["dtype"]]).view(entry["shape"])
    return tensors, metadata


def choose(scores, top_k, load):
    """The experts of each token, how many of them float32 would not have chosen, and how far the loads are apart.

    Where two scores are nearly the same, the order in which products are added up decides. `load`, ours, says how.
    """
    import torch
    best = scores.topk(min(top_k + 1, scores.shape[1]), 1)
    chosen = best.indices[:, :top_k].clone()
    missing = load - torch.bincount(chosen.reshape(-1), minlength=scores.shape[1])
    swapped = 0
    if chosen.shape[1] < best.indices.shape[1]:
        last, next = best.values[:, top_k - 1], best.values[:, top_k]
        for token in (last - next <= TIE * last).nonzero().flatten().tolist():
            ours, other = best.indices[token, top_k - 1].item(), best.indices[token, top_k].item()
            if missing[ours] < 0 < missing[other]:
                chosen[token, top_k - 1] = other
                missing[ours] += 1
                missing[other] -= 1
                swapped += 1
    return chosen, swapped, missing.abs().sum().item() // 2


def expected(tensors, top_k):
    """Everything in float32, expert by expert: y, and with `gradient.y` the gradients. And what `choose` found."""
    import torch
    x, router, gate_up, down = (tensors[name] for name in ["x", *WEIGHTS])
    x, router = x.float(), router.float()
    gradient = tensors.get("gradient.y")
    scores = (x @ router.t()).softmax(1)
    chosen, *differences = choose(scores, top_k, tensors["offsets"].diff())
    weights = scores.gather(1, chosen)
    total = weights.sum(1, keepdim=True)
    weights = weights / total
    results = {"y": torch.zeros_like(x)}
    zeros = lambda tensor: torch.zeros(tensor.shape, device=x.device)
    if gradient is not None:
        of_x, of_gate_up, of_down, of_weights = zeros(x), zeros(gate_up), zeros(down), zeros(weights)
    silu = torch.nn.functional.silu
    for expert in range(gate_up.shape[0]):
        in_weights, out_weights = gate_up[expert].float(), down[expert].float()
        for slots in (chosen == expert).nonzero().split(CHUNK):
            tokens, choice = slots.unbind(1)
            rows, factor = x[tokens], weights[tokens, choice][:, None]
            gate, up = (rows @ in_weights.t()).chunk(2, 1)
            inner = silu(gate) * up
            outputs = inner @ out_weights.t()
            results["y"].index_add_(0, tokens, outputs * factor)
            if gradient is None:
                continue
            arriving = gradient[tokens].float()
            of_weights[tokens, choice] = (arriving * outputs).sum(1)
            arriving = arriving * factor
            of_down[expert] += arriving.t() @ inner
            of_inner = arriving @ out_weights
            sigmoid = gate.sigmoid()
            of_gates = torch.cat([of_inner * up * sigmoid * (1 + gate * (1 - sigmoid)), of_inner * silu(gate)], 1)
            of_gate_up[expert] += of_gates.t() @ rows
            of_x.index_add_(0, tokens, of_gates @ in_weights)
    if gradient is not None:
        # Of the normalisation, the choice and the softmax.
        of_chosen = (of_weights - (of_weights * weights).sum(1, keepdim=True)) / total
        of_scores = torch.zeros_like(scores).scatter_(1, chosen, of_chosen)
        of_logits = scores * (of_scores - (of_scores * scores).sum(1, keepdim=True))
        of_x += of_logits @ router
        for name, value in zip(["x", *WEIGHTS], [of_x, of_logits.t() @ x, of_gate_up, of_down]):
            results[f"gradient.{name}"] = value
    return results, *differences


def errors_of(actual, expected):
    """Of the whole tensor and of its worst row, relative to their norms. A row of zeros has to be one."""
    import torch
    of_rows, norms = [], []
    actual, expected = (tensor.reshape(-1, tensor.shape[-1]) for tensor in (actual, expected))
    for mine, its in zip(actual.split(CHUNK), expected.split(CHUNK)):
        of_rows.append((mine.float() - its).norm(dim=1))
        norms.append(its.norm(dim=1))
    of_rows, norms = torch.cat(of_rows), torch.cat(norms)
    worst = torch.where(of_rows == 0, 0, of_rows / norms).max()
    return (of_rows.norm() / norms.norm()).item(), worst.item()


class Checker:
    """Compares files that moe-run wrote with float32. The experts' weights are kept from file to file."""

    def __init__(self):
        load_torch(needs_gpu=False)
        self.held, self.weights, self.worst = None, {}, {}

    def check(self, path):
        """Prints what it finds. Whether it is within tolerances."""
        import torch
        tensors, metadata = read(path)
        weights = os.path.join(os.path.dirname(path), metadata["weights"])
        if weights != self.held:
            self.weights.clear()
            self.weights.update(read(weights)[0])
            self.held = weights
        tensors.update(self.weights)
        results, swapped, moved = expected(tensors, int(metadata["top_k"]))
        right, words = moved == 0, []
        pairs = {name: (tensors[name], value) for name, value in results.items()}
        if "gradient.x" in pairs:
            # Where routing is skewed, the bias of the hot expert multiplies a gradient that is the small difference of large
            # ones. It is a large part of a token's only in the first feature, which is 1 for the sake of that bias: a row alone.
            mine, its = pairs["gradient.x"]
            pairs["gradient.x"] = mine[:, 1:], its[:, 1:]
            pairs["gradient.x[0]"] = mine[:, :1].t(), its[:, :1].t()
        for name, (mine, its) in pairs.items():
            error, worst = errors_of(mine, its)
            tolerance = TOLERANCE["y" if name == "y" else "gradient"]
            right &= worst < ROW_TOLERANCE * tolerance and (error < tolerance or name == "gradient.x[0]")
            kind = name.replace("mlp.gate.", "router.").replace("mlp.experts.", "")
            words.append(f"{kind} {error:.2e} ({worst:.1e})")
            before = self.worst.get(kind, (0, 0))
            # A NaN stays: no comparison with it is true.
            self.worst[kind] = tuple(old if new <= old else new for old, new in zip(before, (error, worst)))
        words.append(f"{moved} of {tensors['offsets'][-1].item()} choices differ")
        if swapped:
            words.append(f"{swapped} near ties")
        print(f"{'right' if right else 'WRONG'} {os.path.basename(path).removesuffix('.safetensors')}: {', '.join(words)}",
              flush=True)
        del tensors, results
        torch.cuda.empty_cache()
        return right

    def summary(self):
        print("at most: " + ", ".join(f"{kind} {error:.2e} ({row:.1e})" for kind, (error, row) in self.worst.items()))


def save_layers(folder, where, shapes, options):
    """Lets moe-run save `shapes` into folders in `where`, some at a time, and says how far it is.

    ("file", PATH) for each that is complete, ("failed", why), and ("end", FOLDER) of each shape, which has to be removed
    for the next to begin: all of them might not fit.
    """
    events, slots = queue.Queue(), threading.Semaphore(AT_ONCE)

    def save(shape):
        target = os.path.join(where, shape)
        command = [os.path.join(folder, "moe-run"), "bench", folder, "--shape", shape, "--save", target, "--seconds", "0",
                   "--no-progress", "--json", *options]
        words = []
        with slots, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            os.makedirs(target, exist_ok=True)
            for line in process.stderr:
                # A point is reported when all of its files are written.
                if found := re.match(r"(\S+) (\S+), (\d+) tokens, (\w+): forward", line):
                    shape, dtype, tokens, routing = found.groups()
                    stem = os.path.join(target, f"{shape}-{dtype}-{tokens}-{routing}")
                    for path in (f"{stem}-{kind}.safetensors" for kind in ("forward", "forward_backward")):
                        if os.path.exists(path):
                            events.put(("file", path))
                else:
                    words.append(line)
            if process.wait():
                events.put(("failed", f"moe-run failed for {shape}: {''.join(words).strip()}"))
            events.put(("end", target))
            while os.path.exists(target):
                time.sleep(0.05)

    for shape in shapes:
        threading.Thread(target=save, args=[shape], daemon=True).start()
    left = len(shapes)
    while left:
        event = events.get()
        left -= event[0] == "end"
        yield event


def check(folder, options):
    """Every point of the folder's layers."""
    shapes, options = split_shapes(folder, options)
    checker, right = Checker(), True
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as where:
        for event, value in save_layers(folder, where, shapes, options):
            if event == "file":
                right &= checker.check(value)
                os.remove(value)
            elif event == "end":
                shutil.rmtree(value)
            else:
                print(value, flush=True)
                right = False
    checker.summary()
    return right


def check_files(paths):
    checker = Checker()
    right = [checker.check(path) for path in sorted(paths) if not path.endswith("-weights.safetensors")]
    checker.summary()
    return all(right)


def layer(x, router, gate_up, down, top_k):
    """As a user of PyTorch writes it."""
    import torch
    scores = torch.nn.functional.linear(x, router).float().softmax(1)
    weights, chosen = scores.topk(top_k, 1)
    weights = weights / weights.sum(1, keepdim=True)
    order = torch.argsort(chosen.reshape(-1), stable=True)
    experts = router.shape[0]
    # Not bincount, which waits for the GPU.
    ends = torch.histc(chosen.reshape(-1).float(), bins=experts, min=0, max=experts - 1).cumsum(0).int()
    tokens = order // top_k
    gate, up = torch._grouped_mm(x.index_select(0, tokens), gate_up.transpose(1, 2), offs=ends).chunk(2, 1)
    outputs = torch._grouped_mm(torch.nn.functional.silu(gate) * up, down.transpose(1, 2), offs=ends)
    weighted = outputs * weights.reshape(-1)[order][:, None].to(x.dtype)
    return torch.zeros_like(x).index_add_(0, tokens, weighted)


class Peer:
    """PyTorch's layer for one point."""

    def __init__(self, point):
        import torch
        self.torch = torch
        tokens, sizes = point["tokens"], point["sizes"]
        hidden, width, experts = sizes["hidden_size"], sizes["moe_intermediate_size"], sizes["num_experts"]
        normal = lambda *shape: torch.empty(shape, device="cuda", dtype=torch.bfloat16).normal_(0, 0.02)
        self.router, self.gate_up, self.down = normal(experts, hidden), normal(experts, 2 * width, hidden), normal(
            experts, hidden, width)
        self.x = torch.randn(tokens, hidden, device="cuda").bfloat16()
        self.gradient = torch.randn(tokens, hidden, device="cuda").bfloat16()
        self.x[:, 0] = 1
        if point["routing"] == "skewed":
            self.skew(min(4 * tokens * sizes["top_k"] / experts, tokens), sizes["top_k"])
        self.arguments = (self.x, self.router, self.gate_up, self.down, sizes["top_k"])
        self.filler = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")

    def skew(self, wanted, top_k):
        """The router's first column as moe-run bench finds it: by bisection on the first expert's load."""
        low, high = 0.0, 64.0
        for _ in range(16):
            self.router[0, 0] = (low + high) / 2
            chosen = (self.x @ self.router.t()).float().topk(top_k, 1).indices
            low, high = ((low + high) / 2, high) if (chosen == 0).sum() < wanted else (low, (low + high) / 2)
        self.router[0, 0] = high

    def forward(self, function):
        def call():
            with self.torch.no_grad():
                function(*self.arguments)
        for _ in range(3):
            call()
        if self.x.shape[0] > GRAPH_TOKENS:
            return call
        stream = self.torch.cuda.Stream()
        with self.torch.cuda.stream(stream):
            call()
        self.torch.cuda.synchronize()
        graph = self.torch.cuda.CUDAGraph()
        with self.torch.cuda.graph(graph):
            call()
        return graph.replay

    def forward_backward(self, function):
        leaves = [tensor.detach().requires_grad_() for tensor in self.arguments[:4]]

        def run():
            for leaf in leaves:
                leaf.grad = None
            function(*leaves, self.arguments[4]).backward(self.gradient)
        for _ in range(3):
            run()
        return run

    def time(self, run):
        time.sleep(PAUSE)  # A GPU under load lowers its clock.
        run()
        self.torch.cuda.synchronize()
        times, start = [], time.perf_counter()
        while len(times) < MOST and (len(times) < LEAST or time.perf_counter() - start < SECONDS):
            self.filler.fill_(0)
            begin, end = self.torch.cuda.Event(True), self.torch.cuda.Event(True)
            begin.record()
            run()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end) * 1e-3)
        return statistics.median(times)


def bench(folder, options):
    return json.loads(call([os.path.join(folder, "moe-run"), "bench", folder, "--json", "--quiet", *options]))


def measure_peers(points):
    """PyTorch's seconds for points of moe-run's report that have the same number of tokens: {kind: {how: seconds}} of each."""
    import torch
    torch._dynamo.reset()
    compiled, times = torch.compile(layer, dynamic=False), []
    for point in points:
        peer = Peer(point)
        times.append({kind: {how: peer.time(getattr(peer, kind)(function))
                             for how, function in (("compiled", compiled), ("eager", layer))}
                      for kind in ("forward", "forward_backward") if kind in point})
        del peer
        torch.cuda.empty_cache()
    return times


def split_shapes(folder, options):
    """The shapes to run, and the other options."""
    if not os.path.exists(os.path.join(folder, "moe-run")):
        fail(f"'{folder}' holds no layers and moe-run; make it with 'compile', where the compiler is")
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", type=lambda names: names.split(","))
    chosen, others = parser.parse_known_args(options)
    there = {name.rsplit("-", 1)[0] for name in os.listdir(folder) if name.endswith(".moe")} - {"ceilings"}
    if unknown := [name for name in chosen.shape or [] if name not in there]:
        fail(f"no layer was compiled for the shape '{unknown[0]}'; there are: {', '.join(sorted(there))}")
    return chosen.shape or sorted(there), others


def run(folder, options):
    shapes, options = split_shapes(folder, options)
    torch = load_torch()
    options = [*options, "--dtype", "bf16"]
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}")
    random.shuffle(shapes)
    for shape in shapes:
        before = bench(folder, ["--shape", shape, *options])
        places = {}
        for place, point in enumerate(before["points"]):
            places.setdefault(point["tokens"], []).append(place)
        peers = {}
        for same in places.values():  # One compilation for all of them.
            peers.update(zip(same, measure_peers([before["points"][place] for place in same])))
        after = bench(folder, ["--shape", shape, *options])
        for ceiling in (before["ceilings"][0], after["ceilings"][0]):
            print(f"{shape}: ceilings {ceiling['flops_per_second'] * 1e-12:.0f} TFLOP/s,"
                  f" {ceiling['copy_bytes_per_second'] * 1e-9:.0f} GB/s")
        for place, (first, last) in enumerate(zip(before["points"], after["points"])):
            for kind, theirs in peers[place].items():
                times = [first[kind]["seconds"], last[kind]["seconds"]]
                mine = statistics.mean(times)
                reached = statistics.mean([first[kind]["share_of_floor"], last[kind]["share_of_floor"]])
                words = [f"{how} {its * 1e6:10.1f} µs {its / mine:6.2f}" for how, its in theirs.items()]
                print(f"{shape:22s} {first['tokens']:6d} {first['routing']:8s} {kind:17s} {mine * 1e6:10.1f} µs"
                      f" (±{abs(times[0] - times[1]) / mine * 50:4.1f} %) {reached * 100:6.1f} % of floor"
                      f"   PyTorch {', '.join(words)}", flush=True)


def compile_layers(folder, build, options):
    if not any(option.startswith("--target") for option in options):
        options = [*options, "--target=cuda:sm_90a"]
    tools = {name: find_tool(build, name) for name in ("moe-bench", "moe-run")}
    call([tools["moe-bench"], *options, "-o", folder])
    shutil.copy(tools["moe-run"], folder)


def main():
    parser, _ = make_parser(__doc__, {
        **ACTIONS, "check": "compare all outputs of DIR with float32, or those in files that moe-run bench --save wrote"})
    options, others = parser.parse_known_args()
    folder = options.folder
    if options.action in ("compile", "both"):
        compile_layers(folder, options.build, others if options.action == "compile" else [])
    if options.action in ("run", "both"):
        run(folder, others)
    if options.action == "check":
        if not os.path.exists(folder):
            fail(f"there is no '{folder}'")
        sys.exit(0 if (check(folder, others) if os.path.isdir(folder) else check_files([folder, *others])) else 1)


if __name__ == "__main__":
    main()
