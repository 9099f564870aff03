"""bench-layers.py REPORT.json: the report of one point is complete and agrees with itself.
bench-layers.py --chain REPORT.json: so are the times of one token, alone and in a chain of layers.
bench-layers.py FILE.safetensors...: outputs agree with a layer in float64, in plain Python."""
import json
import math
import os
import struct
import sys


def check_report(path):
    report = json.load(open(path, encoding="utf-8"))
    (point,), (ceiling,) = report["points"], report["ceilings"]
    assert report["schema_version"] == 1 and report["target"].startswith("cpu:"), report
    assert (point["shape"], point["dtype"], point["tokens"], point["routing"]) == ("tall", "f32", 64, "skewed")
    assert point["sizes"] == {"hidden_size": 96, "moe_intermediate_size": 48, "num_experts": 16, "top_k": 4}
    assert point["load"] == {"max": 64, "mean": 16.0}, point["load"]
    products = 64 * 4 * 96 * 48
    for kind, factor in (("forward", 6), ("forward_backward", 18)):
        entry = point[kind]
        assert entry["flops"] == factor * products and entry["runs"] >= 10, entry
        assert entry["ceiling_flops_per_second"] > 0, entry
        assert math.isclose(entry["share_of_floor"], entry["floor_seconds"] / entry["seconds"]), entry
        counted = sum(kernel["flops"] for kernel in entry["kernels"])
        assert counted >= entry["flops"], (kind, counted)
        for kernel in entry["kernels"]:
            floor = max(kernel["flops"] / ceiling["flops_per_second"], kernel["bytes"] / ceiling["copy_bytes_per_second"])
            assert math.isclose(kernel["floor_seconds"], floor), kernel


def check_chain(path):
    (point,) = json.load(open(path, encoding="utf-8"))["points"]
    alone, chain = point["forward"], point["chain"]
    assert chain["flops"] == alone["flops"] == 6 * 4 * 96 * 48 and chain["runs"] >= 10, point
    assert math.isclose(chain["share_of_floor"], chain["floor_seconds"] / chain["seconds"]), chain
    assert "forward_backward" not in point, point


def read(path):
    """Tensors of f32 and i32 as rows: all dimensions but the last are one."""
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        values = struct.unpack("<%d%s" % ((end - begin) // 4, {"F32": "f", "I32": "i"}[entry["dtype"]]), data[begin:end])
        width = entry["shape"][-1]
        tensors[name] = [values[start:start + width] for start in range(0, len(values), width)]
    return tensors, metadata


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


def check_layer(path):
    tensors, metadata = read(path)
    tensors.update(read(os.path.join(os.path.dirname(path), metadata["weights"]))[0])
    top_k = int(metadata["top_k"])
    router, gate_up, down = (tensors[name] for name in
                             ("mlp.gate.weight", "mlp.experts.gate_up_proj", "mlp.experts.down_proj"))
    hidden, experts, width = len(router[0]), len(router), len(down[0])
    load = [0] * experts
    for x, y in zip(tensors["x"], tensors["y"]):
        logits = [dot(x, row) for row in router]
        chosen = sorted(range(experts), key=lambda expert: -logits[expert])[:top_k]
        total = math.fsum(math.exp(logits[expert]) for expert in chosen)
        expected = [0.0] * hidden
        for expert in chosen:
            load[expert] += 1
            gates = [dot(x, row) for row in gate_up[expert * 2 * width:(expert + 1) * 2 * width]]
            inner = [gate / (1 + math.exp(-gate)) * up for gate, up in zip(gates, gates[width:])]
            for i, row in enumerate(down[expert * hidden:(expert + 1) * hidden]):
                expected[i] += math.exp(logits[expert]) / total * dot(inner, row)
        norm = math.sqrt(dot(expected, expected))
        # Sums of at most a hundred terms in float32.
        assert math.dist(expected, y) < 1e-5 * norm, (path, math.dist(expected, y) / norm)
    offsets = tensors["offsets"][0]
    assert [end - begin for begin, end in zip(offsets, offsets[1:])] == load, (path, load)


if sys.argv[1] == "--chain":
    check_chain(sys.argv[2])
elif sys.argv[1].endswith(".json"):
    check_report(sys.argv[1])
else:
    points = [path for path in sys.argv[1:] if not path.endswith("-weights.safetensors")]
    assert len(points) == 6, points  # two routings; forward of 1, and of 64 with backward
    for path in points:
        check_layer(path)
