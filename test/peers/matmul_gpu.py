#!/usr/bin/env python3
# Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times matmul kernels of bf16 on a GPU against PyTorch's, and checks them against float32.

Dense ones are compared with torch.mm, those of experts with torch._grouped_mm and what a user has to put around it
(index_select, silu and multiply). The experts are Qwen3-30B-A3B's: 8192 tokens, 8 of 128 experts each, routing with
some skew, three experts without tokens. A GPU under load lowers its clock, so the two take turns in random order, each
after a pause and a launch that does not count; the figure is the median of the rounds.
"""
import random
import statistics
import time

from harness import Kernel, Script, compile_kernels, launches_of, seconds

TOKENS, EXPERTS, TOP_K, HIDDEN, WIDTH = 8192, 128, 8, 2048, 768
ROWS = TOKENS * TOP_K
ROUNDS, PAUSE, SECONDS_EACH = 6, 0.012, 0.008

SIGMOID = """%n = arith.negf %g : f32
      %e = math.exp %n : f32
      %one = arith.constant 1.0 : f32
      %d = arith.addf %one, %e : f32
      %s = arith.divf %one, %d : f32
      %silu = arith.mulf %g, %s : f32"""

# Block arguments, the extent of the extra if there is one, the body, and what it yields.
EPILOGUES = {
    "store": ("%x: f32", None, "", ["%x"]),
    "swiglu": ("%g: f32, %u: f32", None, SIGMOID + "\n      %r = arith.mulf %silu, %u : f32", ["%r"]),
    "residual": ("%x: f32, %old: bf16", "full", """%o = arith.extf %old : bf16 to f32
      %r = arith.addf %x, %o : f32""", ["%r"]),
    "swiglu_gradient": ("%x: f32, %gn: bf16, %un: bf16", "pair", """%g = arith.extf %gn : bf16 to f32
      %u = arith.extf %un : bf16 to f32
      """ + SIGMOID + """
      %c = arith.subf %one, %s : f32
      %c1 = arith.mulf %g, %c : f32
      %c2 = arith.addf %c1, %one : f32
      %c3 = arith.mulf %s, %c2 : f32
      %xu = arith.mulf %x, %u : f32
      %dg = arith.mulf %xu, %c3 : f32
      %du = arith.mulf %x, %silu : f32""", ["%dg", "%du"]),
}


class Case:
    """One kernel: its text, its operands, what PyTorch does in its place and what it should compute."""

    def __init__(self, name, kind, lhs, rhs, result, attributes=(), gathers=False, epilogue="store"):
        self.name, self.kind, self.lhs, self.rhs, self.result = name, kind, lhs, rhs, result
        self.attributes, self.gathers, self.epilogue = list(attributes), gathers, epilogue
        if epilogue == "swiglu":
            self.attributes.append("paired")
        self.transposed = "transpose_rhs" in attributes

    def flops(self):
        if self.kind == "dense":
            return 2 * self.result[0] * self.result[1] * self.lhs[1]
        if self.kind == "ragged_rows":
            return 2 * ROWS * self.rhs[1] * self.rhs[2]
        return 2 * ROWS * self.result[1] * self.result[2]

    def text(self):
        def tensor(shape, element="bf16"):
            return f"tensor<{'x'.join(map(str, shape))}x{element}>"

        types, operands, attributes = [tensor(self.lhs), tensor(self.rhs)], "(%a0, %a1)", list(self.attributes)
        if self.kind != "dense":
            types.append(tensor([EXPERTS + 1], "i32"))
            operands += " offsets(%a2)"
        if self.gathers:
            types.append(tensor([ROWS], "i32"))
            operands += " rows(%a3)"
            attributes.append(f"row_divisor = {TOP_K} : i64")
        block, extent, body, values = EPILOGUES[self.epilogue]
        if extent:
            operands += f" extras(%a{len(types)})"
            types.append(tensor(self.result))
            attributes.append(f"extra_extents = [#moe_kernel.extent<{extent}>]")
        result_extent = "pair" if len(values) == 2 else "full"
        attributes.append(f"result_extents = [#moe_kernel.extent<{result_extent}>]")
        arguments = ", ".join(f"%a{i}: {type}" for i, type in enumerate(types))
        rounded = "\n      ".join(f"%t{i} = arith.truncf {value} : f32 to bf16" for i, value in enumerate(values))
        yielded = ", ".join(f"%t{i}" for i in range(len(values)))
        return f"""moe_kernel.kernel @{self.name}({arguments}) -> {tensor(self.result)} {{
  %0 = moe_kernel.matmul {self.kind} {operands} {{{", ".join(attributes)}}}
      : ({", ".join(types)}) -> {tensor(self.result)} {{
    ^bb0({block}):
      {body}
      {rounded}
      moe_kernel.yield {yielded} : {", ".join(["bf16"] * len(values))}
  }}
  moe_kernel.return %0 : {tensor(self.result)}
}}
"""


def cases():
    def dense(m, n, k):
        return Case(f"dense_{m}x{n}x{k}", "dense", [m, k], [n, k], [m, n], ["transpose_rhs"])

    tokens, rows = [TOKENS, HIDDEN], [ROWS, HIDDEN]
    up, down = [EXPERTS, 2 * WIDTH, HIDDEN], [EXPERTS, HIDDEN, WIDTH]
    inner = [ROWS, WIDTH]
    return [
        dense(8192, 8192, 8192), dense(4096, 4096, 4096), dense(16384, 4096, 2048), dense(65536, 2048, 768),
        Case("residual_16384x2048x2048", "dense", [16384, 2048], [2048, 2048], [16384, 2048], ["transpose_rhs"],
             epilogue="residual"),
        Case("gate_up", "ragged_rows", rows, up, [ROWS, 2 * WIDTH], ["transpose_rhs"]),
        Case("swiglu", "ragged_rows", rows, up, inner, ["transpose_rhs"], epilogue="swiglu"),
        Case("gather_swiglu", "ragged_rows", tokens, up, inner, ["transpose_rhs"], True, "swiglu"),
        Case("down", "ragged_rows", inner, down, rows, ["transpose_rhs"]),
        Case("down_input_gradient", "ragged_rows", rows, down, inner),
        Case("swiglu_gradient", "ragged_rows", rows, down, [ROWS, 2 * WIDTH], epilogue="swiglu_gradient"),
        Case("up_input_gradient", "ragged_rows", [ROWS, 2 * WIDTH], up, rows),
        Case("down_weight_gradient", "ragged_contraction", rows, inner, down),
        Case("up_weight_gradient", "ragged_contraction", [ROWS, 2 * WIDTH], rows, up),
        Case("gather_up_weight_gradient", "ragged_contraction", [ROWS, 2 * WIDTH], tokens, up, ["gather_rhs"], True),
    ]


class Problem:
    """Operands for a case on the GPU."""

    def __init__(self, case):
        import torch
        self.torch, self.case = torch, case
        random_tensor = lambda shape, scale=1.0: (torch.randn(*shape, device="cuda") * scale).bfloat16()
        self.lhs = random_tensor(case.lhs)
        self.rhs = random_tensor(case.rhs, HIDDEN ** -0.5 if case.kind == "ragged_rows" else 1.0)
        self.result = torch.empty(*case.result, device="cuda", dtype=torch.bfloat16)
        self.tensors = [self.lhs, self.rhs]
        if case.kind != "dense":
            bias = torch.randn(EXPERTS, device="cuda") * 0.5
            bias[torch.randperm(EXPERTS, device="cuda")[:3]] = float("-inf")
            chosen = (bias + torch.randn(TOKENS, EXPERTS, device="cuda")).topk(TOP_K, 1).indices.reshape(-1)
            self.order = torch.argsort(chosen, stable=True)
            self.ends = torch.bincount(chosen, minlength=EXPERTS).cumsum(0).int()
            self.tensors.append(torch.nn.functional.pad(self.ends, (1, 0)).int())
        if case.gathers:
            self.tensors.append(self.order.int())
        self.extra = random_tensor(case.result) if EPILOGUES[case.epilogue][1] else None
        if self.extra is not None:
            self.tensors.append(self.extra)
        self.tensors.append(self.result)

    def finish(self, product):
        silu = self.torch.nn.functional.silu
        if self.case.epilogue == "swiglu":
            gate, up = product.chunk(2, 1)
            return silu(gate) * up
        if self.case.epilogue == "residual":
            return product + self.extra
        if self.case.epilogue == "swiglu_gradient":
            gate, up = self.extra.to(product.dtype).chunk(2, 1)
            sigmoid = gate.sigmoid()
            return self.torch.cat([product * up * sigmoid * (1 + gate * (1 - sigmoid)), product * silu(gate)], 1)
        return product

    def operands(self):
        gather = lambda tensor: tensor.index_select(0, self.order // TOP_K)
        gathers_rhs = "gather_rhs" in self.case.attributes
        return (gather(self.lhs) if self.case.gathers and not gathers_rhs else self.lhs,
                gather(self.rhs) if gathers_rhs else self.rhs)

    def peer(self):
        lhs, rhs = self.operands()
        if self.case.kind == "dense" and self.extra is not None:
            return self.torch.addmm(self.extra, lhs, rhs.t(), out=self.result)
        if self.case.kind == "dense":
            return self.torch.mm(lhs, rhs.t(), out=self.result)
        if self.case.kind == "ragged_rows":
            return self.finish(self.torch._grouped_mm(lhs, rhs.transpose(1, 2) if self.case.transposed else rhs, offs=self.ends))
        return self.torch._grouped_mm(lhs.t(), rhs, offs=self.ends)

    def expected(self):
        lhs, rhs = self.operands()
        if self.case.kind == "dense":
            return self.finish(self.torch.cat([rows.float() @ rhs.float().t() for rows in lhs.split(8192)]))
        bounds = [0] + self.ends.tolist()
        experts = [slice(first, last) for first, last in zip(bounds, bounds[1:])]
        if self.case.kind == "ragged_rows":
            matrices = rhs.transpose(1, 2) if self.case.transposed else rhs
            return self.finish(self.torch.cat([lhs[rows].float() @ m.float() for rows, m in zip(experts, matrices)]))
        return self.torch.stack([lhs[rows].float().t() @ rhs[rows].float() for rows in experts])


def run_case(folder, case, launch):
    import torch
    problems = [Problem(case), Problem(case)]  # So that operands of the last launch are not in the cache.
    stream = torch.cuda.current_stream().cuda_stream
    kernel = Kernel(folder, case.name, launch)
    ours, peers = [kernel.bind(p.tensors, stream) for p in problems], [p.peer for p in problems]
    result = problems[0].result
    result.fill_(float("nan"))
    ours[0]()
    expected = problems[0].expected()
    error = ((result.float() - expected).norm() / expected.norm()).item()
    del expected
    count = max(2, min(40, int(SECONDS_EACH / (case.flops() / 600e12))))
    times = {"ours": [], "peer": []}
    for _ in range(ROUNDS):
        turns = [("ours", ours), ("peer", peers)]
        random.shuffle(turns)
        for name, launches in turns:
            time.sleep(PAUSE)
            seconds(torch, launches, 2)
            times[name].append(seconds(torch, launches, count))
    mine, its = statistics.median(times["ours"]), statistics.median(times["peer"])
    print(f"{case.name:28s} {mine * 1e6:8.1f} µs {case.flops() / mine * 1e-12:6.1f} TFLOP/s   PyTorch {its * 1e6:8.1f} µs"
          f"   {its / mine * 100:5.1f} %   error {error:.2e}", flush=True)
    return error < 2.5e-3  # Rounding to bf16 gives 1.7e-3.


def prepare(action, folder):
    launches = launches_of(folder)
    return lambda case: run_case(folder, case, launches[case.name])


def compile_cases(folder, options):
    compile_kernels(folder, "\n".join(case.text() for case in cases()), options)


SCRIPT = Script(__doc__, cases, compile_cases, prepare)

if __name__ == "__main__":
    SCRIPT.main()
