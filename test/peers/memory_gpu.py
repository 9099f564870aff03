#!/usr/bin/env python3
# Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times functions whose kernels are bound by memory or by launches on a GPU: norms, routing, optimizer and the like.

A function is what the stage `fuse` makes of a few ops of the dialect moe, so possibly several launches. What it moves at
least, every argument read and every result written once, is compared with a copy of as many bytes in the same run. A
CUDA graph holds many runs of the function in turns on several sets of operands, more than the cache holds, so that
nothing is found there and no launch is waited for. The figure is the median of the rounds. Indices and plans of the
routing are compared with PyTorch's.
"""
import json
import os
import random
import re
import statistics

from harness import Kernel, Script, call_moe_opt, compile_kernels, launches_of

ROUNDS = 7
CACHE = 200e6  # Bytes of operands beyond which none of them is still in the cache when it is read again.


def tensor(shape, element="bf16"):
    return f"tensor<{'x'.join(map(str, shape))}{'x' if shape else ''}{element}>"


class Case:
    """A function: its arguments as types, its body, what it returns, and which arguments are parts of a routing."""

    def __init__(self, name, arguments, body, results, routing=None, top_k=0):
        self.name, self.arguments, self.body, self.results = name, arguments, body, results
        self.routing, self.top_k = routing or {}, top_k

    def text(self):
        arguments = ", ".join(f"%{name}: {type}" for name, type in self.arguments.items())
        values, types = ", ".join(f"%{name}" for name in self.results), ", ".join(self.results.values())
        return f"func.func @{self.name}({arguments}) -> ({types}) {{\n{self.body}\n  return {values} : {types}\n}}\n"


def elementwise_cases():
    def unary(name, op, shape, result, attributes="", element="bf16"):
        x, y = tensor(shape, element), tensor(result)
        return Case(name, {"x": x}, f"  %y = moe.{op} %x {attributes} : ({x}) -> {y}", {"y": y})

    def norm(rows, columns):
        x, w = tensor([rows, columns]), tensor([columns])
        return Case(f"rms_norm_{rows}x{columns}", {"x": x, "w": w},
                    f"  %y = moe.rms_norm %x, %w {{eps = 1.0e-6}} : ({x}, {w}) -> {x}", {"y": x})

    def rope(tokens, heads, size):
        x, table = tensor([tokens, heads * size]), tensor([tokens, size // 2], "f32")
        return Case(f"rope_{tokens}x{heads}x{size}", {"x": x, "cos": table, "sin": table},
                    f"  %y = moe.rope %x, %cos, %sin : ({x}, {table}, {table}) -> {x}", {"y": x})

    def adamw(elements):
        p, m, s = tensor([elements // 1024, 1024]), tensor([elements // 1024, 1024], "f32"), tensor([], "f32")
        arguments = {"p": p, "g": p, "m": m, "v": m, "w": m, "n": s, "r": s, "c": s, "d": s}
        return Case("adamw", arguments, f"""  %p1, %m1, %v1, %w1 = moe.adamw %p, %g, %m, %v, %n, %r, %c, %d, %w
      {{beta1 = 0.9, beta2 = 0.95, epsilon = 1.0e-8, weight_decay = 0.1, max_grad_norm = 1.0}}
      : ({p}, {p}, {m}, {m}, {s}, {s}, {s}, {s}, {m}) -> ({p}, {m}, {m}, {m})""", {"p1": p, "m1": m, "v1": m, "w1": m})

    def norm_backward(rows, columns, width=0, adds=False):
        """The gradients of a norm of rows, or of heads of `width`, and what reaches the input past the norm."""
        x, w = tensor([rows, columns]), tensor([width or columns])
        body = f"  %dx, %dw = moe.rms_norm_backward %x, %w, %g {{eps = 1.0e-6}} : ({x}, {w}, {x}) -> ({x}, {w})"
        arguments = {"x": x, "w": w, "g": x}
        if adds:
            body += f"\n  %sum = moe.add %z, %dx : {x}"
            arguments |= {"z": x}
        name = f"rms_norm_backward{'_add' if adds else ''}_{rows}x{columns // width if width else columns}{f'x{width}' if width else ''}"
        return Case(name, arguments, body, {"sum" if adds else "dx": x, "dw": w})

    def norm_rope(tokens, heads, size, backward=False):
        x, w, table = tensor([tokens, heads * size]), tensor([size]), tensor([tokens, size // 2], "f32")
        arguments = {"x": x, "w": w, "cos": table, "sin": table}
        if not backward:
            return Case(f"rms_norm_rope_{tokens}x{heads}x{size}", arguments,
                        f"""  %n = moe.rms_norm %x, %w {{eps = 1.0e-6}} : ({x}, {w}) -> {x}
  %y = moe.rope %n, %cos, %sin : ({x}, {table}, {table}) -> {x}""", {"y": x})
        return Case(f"rms_norm_rope_backward_{tokens}x{heads}x{size}", arguments | {"g": x},
                    f"""  %n = moe.rope %g, %cos, %sin {{inverse}} : ({x}, {table}, {table}) -> {x}
  %dx, %dw = moe.rms_norm_backward %x, %w, %n {{eps = 1.0e-6}} : ({x}, {w}, {x}) -> ({x}, {w})""",
                    {"dx": x, "dw": w})

    x = tensor([16384, 1024])
    add = Case("add", {"x": x, "z": x}, f"  %y = moe.add %x, %z : {x}", {"y": x})
    w = tensor([1024])
    residual = Case("add_norm", {"x": x, "z": x, "w": w}, f"""  %y = moe.add %x, %z : {x}
  %n = moe.rms_norm %y, %w {{eps = 1.0e-6}} : ({x}, {w}) -> {x}""", {"y": x, "n": x})
    backward = [norm_backward(16384, 1024), norm_backward(16384, 1024, adds=True), norm_backward(8192, 2048, adds=True),
                norm_backward(8192, 4096, adds=True), norm_backward(8192, 2880, adds=True), norm_backward(8192, 7168),
                norm_backward(16384, 2048, 128)]
    heads = [norm_rope(16384, heads, 128, backward) for heads in (16, 4) for backward in (False, True)]
    return [norm(16384, 1024), norm(262144, 128), norm(65536, 128), norm(8192, 2048), norm(8192, 4096), norm(1, 2048),
            norm(64, 2048), rope(16384, 16, 128), rope(16384, 4, 128), residual, add,
            unary("cast", "cast", [16384, 2048], [16384, 2048], element="f32"),
            unary("gated_activation", "gated_activation", [65536, 1536], [65536, 768]), adamw(32 << 20)] + backward + heads


def routing_cases():
    def plan(tokens, top_k, experts):
        indices, rows = tensor([tokens, top_k], "i32"), tensor([tokens * top_k], "i32")
        offsets = tensor([experts + 1], "i32")
        return Case(f"plan_{tokens}x{top_k}_{experts}", {"i": indices},
                    f"  %o, %p, %q = moe.plan_routing %i : ({indices}) -> ({offsets}, {rows}, {indices})",
                    {"o": offsets, "p": rows, "q": indices}, {"i": ("indices", experts)}, top_k)

    def router(tokens, width, experts, top_k, scoring="softmax", plans=True):
        x, w, scores = tensor([tokens, width]), tensor([experts, width]), tensor([tokens, experts], "f32")
        weights, indices = tensor([tokens, top_k], "f32"), tensor([tokens, top_k], "i32")
        offsets, rows = tensor([experts + 1], "i32"), tensor([tokens * top_k], "i32")
        body = f"""  %l = moe.linear %x, %w : ({x}, {w}) -> {scores}
  %s = moe.router_scores %l {{scoring_func = #moe.scoring_func<{scoring}>}} : ({scores}) -> {scores}
  %k, %i = moe.topk_gate %s {{top_k = {top_k}, norm_topk_prob = true, routed_scaling_factor = 1.0}}
      : ({scores}) -> ({weights}, {indices})"""
        results = {"k": weights, "i": indices}
        if plans:
            body += f"\n  %o, %p, %q = moe.plan_routing %i : ({indices}) -> ({offsets}, {rows}, {indices})"
            results |= {"o": offsets, "p": rows, "q": indices}
        name = f"router{'_plan' if plans else ''}_{tokens}x{width}_{experts}_{top_k}"
        return Case(name, {"x": x, "w": w}, body, results, {"w": ("router", experts)}, top_k)

    def permuted(op, tokens, top_k, width, experts):
        few, many, weights = tensor([tokens, width]), tensor([tokens * top_k, width]), tensor([tokens, top_k], "f32")
        rows, inverse = tensor([tokens * top_k], "i32"), tensor([tokens, top_k], "i32")
        x, y = (few, many) if op == "dispatch" else (many, few)
        return Case(f"{op}_{tokens}x{top_k}x{width}", {"x": x, "p": rows, "q": inverse, "k": weights},
                    f"  %y = moe.{op} %x plan(%p, %q) weights(%k) : ({x}, {rows}, {inverse}, {weights}) -> {y}",
                    {"y": y}, {"p": ("permutation", experts), "q": ("inverse", experts)}, top_k)

    plans = [plan(8192, 8, 128), plan(32768, 8, 128), plan(8192, 2, 8), plan(8192, 8, 512), plan(512, 8, 128),
             plan(64, 8, 128), plan(1, 8, 128)]
    alone = [router(8192, 2048, 128, 8, plans=False), router(1, 2048, 128, 8, plans=False)]
    routers = [router(tokens, 2048, 128, 8) for tokens in (1, 8, 64, 512, 2048, 8192, 32768)]
    others = [router(8192, 4096, 8, 2), router(8192, 2880, 32, 4), router(8192, 7168, 32, 8), router(8192, 2048, 64, 8),
              router(1, 1024, 64, 8), router(64, 7168, 256, 8), router(2051, 2056, 100, 6, "sigmoid")]
    moves = [permuted("combine", 8192, 8, 2048, 128), permuted("combine", 16384, 8, 1024, 64),
             permuted("dispatch", 8192, 8, 2048, 128)]
    return plans + alone + routers + others + moves


def cases():
    return elementwise_cases() + routing_cases()


def compile_functions(folder, chosen, options):
    """Writes PTX and launches.json (see harness.py), and functions.json: which kernels a function launches."""
    os.makedirs(folder, exist_ok=True)
    source = os.path.join(folder, "functions.mlir")
    with open(source, "w") as file:
        file.write(f'module attributes {{moe.target = "cuda:{options.arch}"}} {{\n{"".join(c.text() for c in chosen)}}}\n')
    fused = call_moe_opt(options, [source, "--moe-fuse", "--moe-configure"])
    functions, body, kernels = {}, None, []
    types = lambda text: re.findall(r"tensor<([^>]*)>", text)
    for line in fused.splitlines():
        if found := re.match(r"  func\.func @(\w+)\(", line):
            body = functions[found.group(1)] = {"launches": [], "returns": []}
        elif found := re.match(r"    (?:%(\w+)(?::\d+)? = )?moe_kernel\.launch @(\w+)\((.*?)\).*? : \((.*?)\) -> (.*)", line):
            name, kernel, operands, _, results = found.groups()
            body["launches"].append({"name": name, "kernel": kernel, "operands": re.findall(r"%([\w#]+)", operands),
                                     "results": types(results)})
        elif found := re.match(r"    return (.*?) :", line):
            body["returns"] = re.findall(r"%([\w#]+)", found.group(1))
        elif line.startswith("  moe_kernel.kernel @"):
            tied = {}
            name, arguments = re.match(r"  moe_kernel\.kernel @(\w+)\((.*?)\) -> ", line).groups()
            for number, argument in enumerate(arguments.split("%")[1:]):
                if found := re.search(r"moe_kernel\.tied = (\d+)", argument):
                    tied[int(found.group(1))] = number
            functions.setdefault("kernels", {})[name] = tied
    with open(os.path.join(folder, "functions.json"), "w") as file:
        json.dump(functions, file)
    maps = "".join(line + "\n" for line in fused.splitlines() if line.startswith("#"))
    start = fused.index("  moe_kernel.kernel")
    compile_kernels(folder, fused[start:fused.rindex("}")], options, aliases=maps)


class Problem:
    """Operands of a function on the GPU, and its launches."""

    def __init__(self, folder, case, functions, launches, kernels, stream):
        import torch
        self.torch, self.case = torch, case
        self.routings, self.values = {}, {}
        for number, (name, type) in enumerate(case.arguments.items()):
            self.values[f"arg{number}"] = self.make(*case.routing.get(name, (None, 0)), *self.parse(type[7:-1]))
        self.arguments = list(self.values.values())
        self.runs = []
        for launch in functions[case.name]["launches"]:
            kernel = launch["kernel"]
            if kernel not in kernels:
                kernels[kernel] = Kernel(folder, kernel, launches[kernel])
            operands = [self.values[name] for name in launch["operands"]]
            results = []
            for number, type in enumerate(launch["results"]):
                tied = functions["kernels"][kernel].get(str(number))
                shape, dtype = self.parse(type)
                # Whatever is not written is seen.
                value = operands[tied] if tied is not None else self.empty(shape, dtype)
                self.values[f"{launch['name']}#{number}" if len(launch["results"]) > 1 else launch["name"]] = value
                results.append(value)
            self.runs.append(kernels[kernel].bind(operands + results, stream))
        self.results = dict(zip(case.results, (self.values[name] for name in functions[case.name]["returns"])))

    def parse(self, type):
        *shape, element = type.split("x")
        return [int(n) for n in shape], {"bf16": self.torch.bfloat16, "f32": self.torch.float32,
                                         "i32": self.torch.int32}[element]

    def empty(self, shape, dtype):
        value = self.torch.empty(shape, device="cuda", dtype=dtype)
        return value.fill_(float("nan")) if dtype.is_floating_point else value.fill_(-1)

    def make(self, part, experts, shape, dtype):
        torch = self.torch
        if part == "router":
            return (torch.randn(shape, device="cuda") * shape[1] ** -0.5).to(dtype)
        if not part:
            return torch.randn(shape, device="cuda").abs_().to(dtype) if not shape else torch.randn(
                shape, device="cuda").to(dtype)
        if experts not in self.routings:
            tokens = shape[0] if len(shape) == 2 else shape[0] // self.case.top_k
            noise = torch.rand(tokens, experts, device="cuda") + torch.rand(experts, device="cuda") * 0.3
            indices = noise.topk(self.case.top_k, 1).indices.int()
            self.routings[experts] = {"indices": indices, **plan_of(torch, indices)}
        return self.routings[experts][part]

    def run(self):
        for launch in self.runs:
            launch()

    def bytes(self):
        return sum(t.numel() * t.element_size() for t in self.arguments + list(self.results.values()))


def plan_of(torch, indices):
    permutation = torch.argsort(indices.reshape(-1), stable=True)
    inverse = torch.empty_like(permutation)
    inverse[permutation] = torch.arange(permutation.numel(), device="cuda")
    return {"permutation": permutation.int(), "inverse": inverse.int().reshape(indices.shape)}


def wrong(problem):
    """What differs from PyTorch's, of routing."""
    torch, case, results = problem.torch, problem.case, problem.results
    found = []
    if case.name.startswith("router"):
        x, w = problem.arguments
        logits = x.double() @ w.double().t()
        scores = logits.softmax(1) if "softmax" in case.body else logits.sigmoid()
        best = scores.topk(case.top_k, 1).values
        mine = scores.gather(1, results["i"].long().clamp(0, scores.shape[1] - 1))
        if not torch.allclose(mine, best, rtol=1e-4, atol=1e-9):  # Near ties may be either.
            found.append(f"indices, {(mine - best).abs().max().item():.1e}")
        expected = mine / mine.sum(1, keepdim=True)
        if not torch.allclose(results["k"].double(), expected, rtol=1e-4):
            found.append(f"weights, {(results['k'].double() - expected).abs().max().item():.1e}")
    if "o" in results:
        indices = results["i"] if "i" in results else problem.arguments[0]
        expected = plan_of(torch, indices)
        counts = torch.bincount(indices.reshape(-1).long(), minlength=results["o"].numel() - 1)
        offsets = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
        for name, value in (("o", offsets), ("p", expected["permutation"]), ("q", expected["inverse"])):
            if not torch.equal(results[name].long(), value.long()):
                found.append({"o": "offsets", "p": "permutation", "q": "inverse"}[name])
    return found


def seconds(torch, graph):
    begin, end = torch.cuda.Event(True), torch.cuda.Event(True)
    graph.replay()
    begin.record()
    graph.replay()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) * 1e-3


def run_case(folder, case, functions, launches, kernels, times_it):
    import torch
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        first = Problem(folder, case, functions, launches, kernels, stream.cuda_stream)
        first.run()
        faults = wrong(first)
        before = {name: value.clone() for name, value in first.results.items()}
        if not any(name in case.name for name in ("adamw",)):
            first.run()
            faults += [f"{name} differs from run to run" for name, value in first.results.items()
                       if not torch.equal(value, before[name]) and not value.isnan().any()]
        if not times_it:
            stream.synchronize()
            print(f"{case.name:32s} {'; '.join(faults) if faults else 'right'}", flush=True)
            return not faults
        sets = max(2, min(64, int(CACHE / first.bytes()) + 1))
        problems = [first] + [Problem(folder, case, functions, launches, kernels, stream.cuda_stream)
                              for _ in range(sets - 1)]
        size = first.bytes()
        count = max(sets, min(256, int(2e-3 / (size / 2e12 + 4e-6))))
        source = [torch.empty(size // 2, device="cuda", dtype=torch.uint8) for _ in range(min(sets, 16))]
        target = [torch.empty_like(s) for s in source]
        graphs = {}
        for name, runs in (("ours", [p.run for p in problems]),
                           ("copy", [lambda s=s, t=t: t.copy_(s) for s, t in zip(source, target)])):
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=stream):
                for i in range(count):
                    runs[i % len(runs)]()
            graphs[name] = graph
        times = {"ours": [], "copy": []}
        for _ in range(ROUNDS):
            turns = list(graphs)
            random.shuffle(turns)
            for name in turns:
                times[name].append(seconds(torch, graphs[name]) / count)
    ours, copy = statistics.median(times["ours"]), statistics.median(times["copy"])
    print(f"{case.name:32s} {len(functions[case.name]['launches'])} launches {ours * 1e6:8.2f} µs {size / ours * 1e-12:5.2f} TB/s"
          f"   copy {copy * 1e6:8.2f} µs   {copy / ours * 100:5.1f} %   {'; '.join(faults) if faults else 'right'}", flush=True)
    return not faults


def prepare(action, folder):
    with open(os.path.join(folder, "functions.json")) as file:
        functions = json.load(file)
    launches, kernels = launches_of(folder), {}
    return lambda case: run_case(folder, case, functions, launches, kernels, action == "run")


SCRIPT = Script(__doc__, cases, lambda folder, options: compile_functions(folder, cases(), options), prepare,
                extra_actions={"check": "as run, without times: for profilers"})

if __name__ == "__main__":
    SCRIPT.main()
