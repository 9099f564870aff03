#!/usr/bin/env python3
# Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times attention of bf16 and its gradients on a GPU against cuDNN's, through PyTorch, and checks both.

Causal attention. The gradients' time is that of all their launches. PyTorch gets its operands as it likes them best,
[batch, head, token, element]; ours are [token, head · element], as products give them. A GPU under load lowers its clock,
so the four take turns in random order, each after a pause and launches that do not count; figures are the medians of the
rounds. FLOPs are two products for every pair of a query and a key that it sees, and five for the gradients.
"""
import math
import random
import statistics
import time

from harness import Kernel, Script, compile_kernels, launches_of, seconds

ROUNDS, PAUSE, COUNT = 6, 0.012, 8


class Case:
    def __init__(self, sequences, length, heads, key_heads, head_dim):
        self.sequences, self.length, self.heads, self.key_heads = sequences, length, heads, key_heads
        self.head_dim = head_dim
        self.name = f"b{sequences}_s{length}_h{heads}_{key_heads}_d{head_dim}"

    def flops(self):
        return 4 * self.sequences * self.heads * self.length * (self.length + 1) // 2 * self.head_dim

    def text(self):
        tokens = self.sequences * self.length
        q, k = (f"tensor<{tokens}x{heads * self.head_dim}xbf16>" for heads in (self.heads, self.key_heads))
        lse = f"tensor<{tokens}x{self.heads}xf32>"
        attributes = (f"{{num_heads = {self.heads} : i64, num_kv_heads = {self.key_heads} : i64, "
                      f"sequence_length = {self.length} : i64}}")
        return f"""moe_kernel.kernel @{self.name}(%q: {q}, %k: {k}, %v: {k}) -> ({q}, {lse}) {{
  %r:2 = moe_kernel.attention %q, %k, %v {attributes} : ({q}, {k}, {k}) -> ({q}, {lse})
  moe_kernel.return %r#0, %r#1 : {q}, {lse}
}}
moe_kernel.kernel @{self.name}_backward(%q: {q}, %k: {k}, %v: {k}, %o: {q}, %l: {lse}, %g: {q}) -> ({q}, {k}, {k}) {{
  %r:3 = moe_kernel.attention_backward %q, %k, %v, %o, %l, %g {attributes}
      : ({q}, {k}, {k}, {q}, {lse}, {q}) -> ({q}, {k}, {k})
  moe_kernel.return %r#0, %r#1, %r#2 : {q}, {k}, {k}
}}
"""


def cases():
    return [Case(4, 4096, 16, 16, 128), Case(2, 8192, 16, 16, 128), Case(8, 2048, 16, 16, 128),
            Case(2, 4096, 32, 4, 128), Case(4, 4096, 16, 16, 64)]


class Problem:
    """Operands for a case on the GPU, our launches on them and PyTorch's."""

    def __init__(self, folder, case, launches):
        import torch
        self.torch, self.case = torch, case

        def tensor(heads):
            return torch.randn(case.sequences, case.length, heads, case.head_dim, device="cuda").bfloat16()

        self.query, self.key, self.value = tensor(case.heads), tensor(case.key_heads), tensor(case.key_heads)
        self.gradient, self.result = tensor(case.heads), tensor(case.heads)
        self.gradients = [torch.empty_like(t) for t in (self.query, self.key, self.value)]
        lse, delta = (torch.empty(case.sequences, case.length, case.heads, device="cuda") for _ in range(2))
        for poisoned in [self.result, lse, delta] + self.gradients:
            poisoned.fill_(float("nan"))

        stream = torch.cuda.current_stream().cuda_stream
        inputs = [self.query, self.key, self.value]

        def bind(name, tensors):
            return Kernel(folder, name, launches[name]).bind(tensors, stream)

        self.forward = bind(case.name, inputs + [self.result, lse])
        sums = bind(case.name + "_backward_delta", [self.result, self.gradient, delta])
        main = bind(case.name + "_backward", inputs + [lse, delta, self.gradient] + self.gradients)
        self.backward = lambda: (sums(), main())

        self.peer_inputs = [t.transpose(1, 2).contiguous().requires_grad_() for t in inputs]
        self.peer_gradient = self.gradient.transpose(1, 2).contiguous()
        self.peer_result = self.attend(self.peer_inputs)
        self.detached = [t.detach() for t in self.peer_inputs]

    def attend(self, inputs):
        from torch.nn.attention import SDPBackend, sdpa_kernel
        with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
            return self.torch.nn.functional.scaled_dot_product_attention(
                *inputs, is_causal=True, enable_gqa=self.case.heads != self.case.key_heads)

    def peer_forward(self):
        self.attend(self.detached)

    def peer_backward(self):
        return self.torch.autograd.grad(self.peer_result, self.peer_inputs, self.peer_gradient, retain_graph=True)

    def expected(self):
        """In float32, of the first head of the first sequence, with what the other heads of its group add."""
        torch, case = self.torch, self.case
        group = case.heads // case.key_heads
        key, value = self.key[0, :, 0].float(), self.value[0, :, 0].float()
        hidden = torch.ones(case.length, case.length, device="cuda", dtype=torch.bool).triu(1)
        scale = 1 / math.sqrt(case.head_dim)
        key_gradient, value_gradient = torch.zeros_like(key), torch.zeros_like(value)
        for head in reversed(range(group)):
            query, gradient = self.query[0, :, head].float(), self.gradient[0, :, head].float()
            weights = (query @ key.T * scale).masked_fill_(hidden, -math.inf).softmax(-1)
            result = weights @ value
            value_gradient += weights.T @ gradient
            score_gradients = weights * (gradient @ value.T - (gradient * result).sum(-1, keepdim=True)) * scale
            key_gradient += score_gradients.T @ query
            query_gradient = score_gradients @ key
        return result, query_gradient, key_gradient, value_gradient


def run_case(folder, case, launches):
    problem = Problem(folder, case, launches)
    problem.forward()
    problem.backward()
    actual = [problem.result] + problem.gradients
    errors = [((a[0, :, 0].float() - e).norm() / e.norm()).item() for a, e in zip(actual, problem.expected())]
    turns = {"forward": problem.forward, "cuDNN forward": problem.peer_forward, "backward": problem.backward,
             "cuDNN backward": problem.peer_backward}
    times = {name: [] for name in turns}
    for _ in range(ROUNDS):
        for name in random.sample(list(turns), len(turns)):
            time.sleep(PAUSE)
            seconds(problem.torch, [turns[name]], 3)
            times[name].append(seconds(problem.torch, [turns[name]], COUNT))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, flops, errors_here in (("forward", case.flops(), errors[:1]),
                                     ("backward", case.flops() * 5 // 2, errors[1:])):
        mine, its = medians[name], medians["cuDNN " + name]
        print(f"{case.name:20s} {name:8s} {mine * 1e6:8.1f} µs {flops / mine * 1e-12:6.1f} TFLOP/s   cuDNN {its * 1e6:8.1f}"
              f" µs   {its / mine * 100:5.1f} %   error {' '.join(f'{e:.2e}' for e in errors_here)}", flush=True)
    return all(error < 4e-3 for error in errors)  # P, dS and results are rounded to bf16: 1.7e-3 each.


def prepare(action, folder):
    launches = launches_of(folder)
    return lambda case: run_case(folder, case, launches)


def compile_cases(folder, options):
    compile_kernels(folder, "\n".join(case.text() for case in cases()), options)


SCRIPT = Script(__doc__, cases, compile_cases, prepare,
                device=lambda torch: f"{torch.cuda.get_device_name()} cuDNN {torch.backends.cudnn.version()}")

if __name__ == "__main__":
    SCRIPT.main()
