#!/usr/bin/env python3
# Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times matmul kernels of few rows on a GPU against what reading their weights takes, and checks them against float32.

Weights are those of Qwen3-30B-A3B's experts for 1, 8 and 64 tokens, and the linear ones of docs/models/bench-1b.mlir
for one. Successive launches of a CUDA graph read different weights, more than the second-level cache holds; as in a model,
each may begin to read them before the one before it has ended. The file of
`compile --configs` has lines `KERNEL threads tile_m tile_n tile_k stages unit` of configurations to try instead of the
target's own; a kernel that occurs several times is compiled several times.
"""
import json
import os
import statistics

from harness import Kernel, Script, compile_kernels, launches_of
from matmul_gpu import EPILOGUES

EXPERTS, TOP_K = 128, 8
BYTES_PER_SECOND = 3.0e12  # What an H100 copies at.
CACHE_BYTES = 160e6        # Weights between two uses of the same: more than twice the cache of an H100.


class Case:
    """One kernel. `tokens` is null for dense ones, which have `rows`."""

    def __init__(self, name, rows, depth, columns, tokens=None, gathers=False, epilogue="store", result="bf16"):
        self.name, self.rows, self.depth, self.columns, self.tokens = name, rows, depth, columns, tokens
        self.gathers, self.epilogue, self.element = gathers, epilogue, result
        self.paired = epilogue == "swiglu"
        self.outputs = columns // 2 if self.paired else columns

    def text(self, name, config):
        tensor = lambda shape, element="bf16": f"tensor<{'x'.join(map(str, shape))}x{element}>"
        weights = [self.columns, self.depth]
        lhs = [self.tokens if self.gathers else self.rows, self.depth]
        result = [self.rows, self.outputs]
        attributes, operands = ["transpose_rhs"], "(%a0, %a1)"
        types = [tensor(lhs), tensor([EXPERTS] + weights if self.tokens else weights)]
        if self.tokens:
            types.append(tensor([EXPERTS + 1], "i32"))
            operands += " offsets(%a2)"
        if self.gathers:
            types.append(tensor([self.rows], "i32"))
            operands += " rows(%a3)"
            attributes.append(f"row_divisor = {TOP_K} : i64")
        block, extent, body, values = EPILOGUES[self.epilogue]
        if extent:
            operands += f" extras(%a{len(types)})"
            types.append(tensor(result))
            attributes.append(f"extra_extents = [#moe_kernel.extent<{extent}>]")
        if self.paired:
            attributes.append("paired")
        attributes.append("result_extents = [#moe_kernel.extent<full>]")
        value, round = values[0], ""
        if self.element == "bf16":
            value, round = "%t", f"%t = arith.truncf {values[0]} : f32 to bf16"
        arguments = ", ".join(f"%a{i}: {type}" for i, type in enumerate(types))
        attribute = f"attributes {{config = {config}}}" if config else ""
        type = tensor(result, self.element)
        return f"""moe_kernel.kernel @{name}({arguments}) -> {type} {attribute} {{
  %0 = moe_kernel.matmul {"ragged_rows" if self.tokens else "dense"} {operands} {{{", ".join(attributes)}}}
      : ({", ".join(types)}) -> {type} {{
    ^bb0({block}):
      {body}
      {round}
      moe_kernel.yield {value} : {self.element}
  }}
  moe_kernel.return %0 : {type}
}}
"""


def cases():
    experts = []
    for tokens in (1, 8, 64):
        experts += [Case(f"gate_up_{tokens}", tokens * TOP_K, 2048, 1536, tokens, gathers=True, epilogue="swiglu"),
                    Case(f"down_{tokens}", tokens * TOP_K, 768, 2048, tokens)]
    return experts + [
        Case("query", 1, 1024, 2048), Case("key", 1, 1024, 512), Case("output", 1, 2048, 1024, epilogue="residual"),
        Case("router", 1, 1024, 64, result="f32"), Case("lm_head", 1, 1024, 32768, result="f32"),
        Case("linear_8", 8, 2048, 4096), Case("linear_16", 16, 2048, 4096), Case("linear_32", 32, 2048, 4096),
    ]


class Problem:
    """Operands of a case, as many of them as launches need to find no weights in the cache."""

    def __init__(self, case):
        import torch
        self.torch, self.case = torch, case
        draw = lambda *shape: torch.randn(*shape, device="cuda").bfloat16()
        scale = case.depth ** -0.5
        weight_bytes = 2 * case.columns * case.depth
        self.lhs = draw(case.tokens if case.gathers else case.rows, case.depth)
        self.extra = draw(case.rows, case.outputs) if EPILOGUES[case.epilogue][1] else None
        self.sets = []
        if case.tokens:
            weights = draw(EXPERTS, case.columns, case.depth) * scale
            for i in range(16 if case.tokens == 1 else 4):
                # One token takes other experts every time; more touch most of them anyway.
                experts = (torch.arange(TOP_K, device="cuda") + i * TOP_K if case.tokens == 1 else
                           torch.rand(case.tokens, EXPERTS, device="cuda").topk(TOP_K, 1).indices.reshape(-1))
                order = torch.argsort(experts, stable=True).int()
                ends = torch.bincount(experts, minlength=EXPERTS).cumsum(0)
                self.sets.append((weights, torch.nn.functional.pad(ends, (1, 0)).int(), order))
            self.bytes = statistics.mean((s[1].diff() > 0).sum().item() for s in self.sets) * weight_bytes
        else:
            count = min(256, max(2, int(CACHE_BYTES / weight_bytes) + 1))
            self.sets = [(draw(case.columns, case.depth) * scale, None, None) for _ in range(count)]
            self.bytes = weight_bytes
        element = torch.bfloat16 if case.element == "bf16" else torch.float32
        self.result = torch.empty(case.rows, case.outputs, device="cuda", dtype=element)

    def tensors(self, index):
        weights, offsets, order = self.sets[index % len(self.sets)]
        optional = [offsets, order if self.case.gathers else None, self.extra]
        return [self.lhs, weights] + [tensor for tensor in optional if tensor is not None] + [self.result]

    def expected(self, index):
        weights, offsets, order = self.sets[index]
        if not self.case.tokens:
            product = self.lhs.float() @ weights.float().t()
        else:
            rows = self.lhs[(order // TOP_K).long()] if self.case.gathers else self.lhs
            bounds = offsets.tolist()
            product = self.torch.cat([rows[first:last].float() @ weights[e].float().t()
                                      for e, (first, last) in enumerate(zip(bounds, bounds[1:]))])
        if self.case.paired:
            gate, up = product.chunk(2, 1)
            return self.torch.nn.functional.silu(gate) * up
        return product if self.extra is None else product + self.extra


def time_graph(torch, launches, stream):
    """Seconds of one of `launches`, which are replayed together, each launched as early as moe-run does."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for i, launch in enumerate(launches):
            launch(early=i > 0)
    times = []
    for _ in range(12):
        begin, end = torch.cuda.Event(True), torch.cuda.Event(True)
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1e-3 / len(launches))
    return statistics.median(times[2:])


def run_case(folder, case, names, launches):
    import torch
    problem = Problem(case)
    stream = torch.cuda.Stream()
    right = True
    for name in names:
        kernel = Kernel(folder, name, launches[name])
        problem.result.fill_(float("nan"))
        kernel.bind(problem.tensors(1), torch.cuda.current_stream().cuda_stream)()
        expected = problem.expected(1)
        error = ((problem.result.float() - expected).norm() / expected.norm()).item()
        right &= error < 2.5e-3  # Rounding to bf16 gives 1.7e-3.
        count = max(20, len(problem.sets)) if case.tokens in (None, 1) else 8
        bound = [kernel.bind(problem.tensors(i), stream.cuda_stream) for i in range(count)]
        time = time_graph(torch, bound, stream)
        floor = problem.bytes / BYTES_PER_SECOND
        print(f"{name:56s} {time * 1e6:7.2f} µs  {problem.bytes / time * 1e-12:5.2f} TB/s  floor {floor * 1e6:7.2f} µs"
              f"  {floor / time * 100:5.1f} %  grid {launches[name]['grid'][0]}  error {error:.1e}", flush=True)
    return right


def compile_variants(folder, options):
    variants = {case.name: [(case.name, "")] for case in cases()}
    if options.configs:
        with open(options.configs) as file:
            for line in filter(str.split, file):
                name, threads, m, n, k, stages, unit = line.split()
                config = (f"#moe_kernel.cuda_config<threads = {threads}, tile_m = {m}, tile_n = {n}, tile_k = {k}, "
                          f"stages = {stages}, unit = {unit}>")
                variants[name].append((f"{name}_t{threads}_{m}x{n}x{k}_s{stages}_{unit}", config))
    kernels = "\n".join(case.text(*variant) for case in cases() for variant in variants[case.name])
    compile_kernels(folder, kernels, options)
    with open(os.path.join(folder, "variants.json"), "w") as file:
        json.dump({name: [variant[0] for variant in list] for name, list in variants.items()}, file)


def prepare(action, folder):
    launches = launches_of(folder)
    with open(os.path.join(folder, "variants.json")) as file:
        variants = json.load(file)
    return lambda case: run_case(folder, case, variants[case.name], launches)


SCRIPT = Script(__doc__, cases, compile_variants, prepare,
                declare=lambda parser: parser.add_argument("--configs", metavar="FILE", help="configurations to try"))

if __name__ == "__main__":
    SCRIPT.main()
