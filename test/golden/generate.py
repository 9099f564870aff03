#!/usr/bin/env python3
# Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes golden.safetensors: what PyTorch computes for golden.mlir. See README.md.

  generate.py                  writes the file
  generate.py --verify         checks the gradients against finite differences, the optimizer against
                               torch.optim, and the file against a new computation
  generate.py --model FILE     another description, --output FILE another file
"""
import argparse
import json
import os
import struct
import sys

import torch

import model

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS = 3
BATCH = ("tokens", "targets", "weights")
SCALARS = ("learning_rate", "bias_correction1", "bias_correction2")
LEARNING_RATES = [0.01, 0.02, 0.005]
# Decisions of the router closer than this could fall the other way in float32; another seed is taken then.
MIN_MARGIN = 1e-3
SAFETENSORS_TYPES = {torch.float32: "F32", torch.int32: "I32"}


def write_safetensors(path, tensors, metadata):
    header, offset = {"__metadata__": metadata}, 0
    for name, tensor in tensors.items():
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": SAFETENSORS_TYPES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % 64)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.contiguous().numpy().tobytes())


def read_safetensors(path):
    types = {name: dtype for dtype, name in SAFETENSORS_TYPES.items()}
    with open(path, "rb") as file:
        data = bytearray(file.read())
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body = memoryview(data)[8 + length :]
    tensor = lambda entry: torch.frombuffer(body[slice(*entry["data_offsets"])], dtype=types[entry["dtype"]])
    return {name: tensor(entry).view(entry["shape"]) for name, entry in header.items()}


def draw(description, seed):
    """-> (initial variables, inputs), all drawn from `seed`; float32."""
    generator = torch.Generator().manual_seed(seed)
    normal = lambda shape: torch.randn(shape, generator=generator)
    initial = {}
    for name, shape, kind in description.variables():
        if kind == "ones":  # not ones, so that every norm weight matters
            initial[name] = 1 + 0.1 * normal(shape)
        elif kind == "buffer":
            initial[name] = 0.05 * normal(shape)
        else:  # activations of order one, so that every part matters to the loss
            initial[name] = normal(shape) / shape[-1] ** 0.5
    training = description.training
    shape = (STEPS, training["batch_size"], training["sequence_length"])
    text = torch.randint(description.model["vocab_size"], (*shape[:2], shape[2] + 1), generator=generator)
    weights = torch.ones(shape)
    weights[torch.rand(shape, generator=generator) < 0.2] = 0.0
    weights[torch.rand(shape, generator=generator) < 0.2] = 0.5
    steps = torch.arange(1, STEPS + 1, dtype=torch.float64)
    return initial, {
        "tokens": text[..., :-1].int(),
        "targets": text[..., 1:].int(),
        "weights": weights,
        "learning_rate": torch.tensor(LEARNING_RATES),
        "bias_correction1": (1 - training["beta1"] ** steps).float(),
        "bias_correction2": (1 - training["beta2"] ** steps).float(),
    }


def compute(description, initial, inputs, dtype):
    """-> ({name: tensor of the golden file in `dtype`}, the narrowest decision of a router)."""
    cast = lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor
    trainer = model.Trainer(description, {name: cast(value) for name, value in initial.items()})
    golden, losses, margin = {}, {"loss": [], "aux_loss": [], "grad_norm": []}, float("inf")
    with torch.no_grad():
        golden["logits"] = model.forward(description, trainer.variables, inputs["tokens"][0])[0]
    loads = {index: [] for index, layer in enumerate(description.layers) if "sparse_mlp" in layer}
    for step in range(STEPS):
        batch = [cast(inputs[name][step]) for name in BATCH]
        scalars = [cast(inputs[name][step]).item() for name in SCALARS]
        (loss, aux_loss, routings), gradients, norm = trainer.step(*batch, *scalars)
        for name, value in (("loss", loss), ("aux_loss", aux_loss), ("grad_norm", norm)):
            losses[name].append(value.detach())
        for index, routing in routings.items():
            loads[index].append(routing.load.int())
            margin = min(margin, routing.margin)
        if step == 0:
            golden.update({f"gradient.{name}": value for name, value in gradients.items()})
    golden.update({name: torch.stack(values) for name, values in losses.items()})
    golden.update({f"load.{index}": torch.stack(values) for index, values in loads.items()})
    golden.update({f"final.{name}": value for name, value in trainer.variables.items()})
    return golden, margin


def deviation(actual, expected):
    """The largest difference, relative to the largest magnitude of the tensor."""
    if not expected.is_floating_point():
        return 0.0 if torch.equal(actual, expected) else float("inf")
    expected = expected.double()
    return ((actual.double() - expected).abs().max() / expected.abs().max().clamp_min(1e-30)).item()


def build(description):
    """-> ({name: tensor} of the file, {group: deviation of PyTorch's own float32}). Computed in float64."""
    for seed in range(1, 1000):
        initial, inputs = draw(description, seed)
        golden, margin = compute(description, initial, inputs, torch.float64)
        if margin > MIN_MARGIN:
            break
    single, _ = compute(description, initial, inputs, torch.float32)
    deviations = {}
    for name, value in golden.items():
        group = name.split(".")[0]
        deviations[group] = max(deviations.get(group, 0.0), deviation(single[name], value))
    tensors = {f"inputs.{name}": value for name, value in inputs.items()}
    tensors.update({f"initial.{name}": value for name, value in initial.items()})
    tensors.update({name: value.float() if value.is_floating_point() else value for name, value in golden.items()})
    print(f"seed {seed}; the closest decision of a router is {margin:.2g} apart")
    for name in ("loss", "grad_norm"):
        print(f"{name}: " + ", ".join(f"{value:.6f}" for value in golden[name].tolist()))
    return tensors, deviations


def check_gradients(description):
    """Central differences in float64 along random directions of every parameter."""
    initial, inputs = draw(description, 1)
    trainer = model.Trainer(description, {name: value.double() for name, value in initial.items()})
    batch = [inputs[name][0].double() if name == "weights" else inputs[name][0] for name in BATCH]
    _, gradients = trainer.gradients(*batch)
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for name, gradient in gradients.items():
        direction = torch.randn(gradient.shape, generator=generator, dtype=torch.float64)
        direction /= direction.norm()
        values = []
        for sign in (1, -1):
            variables = dict(trainer.variables)
            variables[name] = variables[name] + sign * 1e-5 * direction
            loss, aux_loss, _ = model.objective(description, variables, *batch)
            values.append((loss + aux_loss).item())
        difference = (values[0] - values[1]) / 2e-5
        error = abs(difference - (gradient * direction).sum().item()) / gradient.norm().item()
        worst = max(worst, error)
        if error > 1e-7:
            sys.exit(f"gradient of {name}: differences give {difference}, off by {error:.2g} of its norm")
    print(f"gradients of {len(gradients)} parameters agree with finite differences to {worst:.1g} of their norms")


def check_optimizer(description):
    """The three steps of `Trainer` against torch.optim.AdamW and torch.nn.utils.clip_grad_norm_, in float64."""
    training = description.training
    initial, inputs = draw(description, 1)
    inputs = {name: value.double() if value.is_floating_point() else value for name, value in inputs.items()}
    ours = model.Trainer(description, {name: value.double() for name, value in initial.items()})
    theirs = {name: torch.nn.Parameter(ours.variables[name].clone()) for name in ours.moments}
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in theirs.values() if p.dim() >= 2], "weight_decay": training["weight_decay"]},
         {"params": [p for p in theirs.values() if p.dim() < 2], "weight_decay": 0.0}],
        betas=(training["beta1"], training["beta2"]), eps=training["epsilon"])
    for step in range(STEPS):
        rate = inputs["learning_rate"][step].item()
        for group in optimizer.param_groups:
            group["lr"] = rate
        corrections = [1 - training[beta] ** (step + 1) for beta in ("beta1", "beta2")]
        _, gradients, norm = ours.step(*(inputs[name][step] for name in BATCH), rate, *corrections)
        for name, parameter in theirs.items():
            parameter.grad = gradients[name].clone()
        their_norm = torch.nn.utils.clip_grad_norm_(theirs.values(), training["max_grad_norm"])
        optimizer.step()
        worst = max([deviation(ours.variables[name], value.detach()) for name, value in theirs.items()] +
                    [deviation(norm, their_norm)])
        if worst > 1e-12:
            sys.exit(f"step {step + 1} is off from torch.optim.AdamW by {worst:.2g}")
    print("clipping and AdamW agree with PyTorch's own")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=os.path.join(HERE, "golden.mlir"))
    parser.add_argument("--output", default=os.path.join(HERE, "golden.safetensors"))
    parser.add_argument("--verify", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with open(arguments.model, encoding="utf-8") as file:
        description = model.Description(file.read())
    if arguments.verify:
        check_gradients(description)
        check_optimizer(description)
    tensors, deviations = build(description)
    print("PyTorch's own float32 deviates by " + ", ".join(f"{name} {value:.1e}" for name, value in deviations.items()))
    if not arguments.verify:
        write_safetensors(arguments.output, tensors, {"format": "pt", "torch": torch.__version__})
        print(f"{arguments.output}: {len(tensors)} tensors, {os.path.getsize(arguments.output)} bytes")
        return
    stored = read_safetensors(arguments.output)
    if stored.keys() != tensors.keys():
        sys.exit(f"{arguments.output} holds other tensors: {sorted(stored.keys() ^ tensors.keys())}")
    for name, value in tensors.items():
        if deviation(stored[name], value) > 1e-6:
            sys.exit(f"{arguments.output}: {name} is not what PyTorch {torch.__version__} computes")
    print(f"{arguments.output} is up to date")


if __name__ == "__main__":
    main()
