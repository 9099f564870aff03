# Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The models that a description can say, in plain PyTorch: written to be read beside the dialect's documentation.

A model is a dictionary of parameters and functions of it; there are no modules. Names and layouts are those of the
artifact: linear weights are [out, in], experts are stacked in front, gate rows come before up rows.
"""
import re

import torch
import torch.nn.functional as F


class Description:
    """What the generator needs of a .mlir description: `(name = value, ...)` after each op, layers in order."""

    OP = re.compile(r"moe\.(\w+)\s*(?:@(\w+)\s*)?\(([^()]*)\)")
    # Every attribute there is; None has no default.
    DEFAULTS = {
        "model": {"vocab_size": None, "hidden_size": None, "rms_norm_eps": 1e-5, "initializer_range": 0.02},
        "layers": {"count": None},
        "self_attention": {"num_heads": None, "num_kv_heads": None, "head_dim": None, "rope_theta": 10000.0,
                           "qk_norm": False},
        "mlp": {"intermediate_size": None},
        "sparse_mlp": {"num_experts": None, "top_k": None, "moe_intermediate_size": None, "num_shared_experts": 0,
                       "scoring_func": "softmax", "norm_topk_prob": True, "routed_scaling_factor": 1.0,
                       "aux_loss_alpha": 0.0, "bias_update_rate": 0.0},
        "training": {"batch_size": None, "sequence_length": None, "beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8,
                     "weight_decay": 0.1, "max_grad_norm": 1.0},
        "serving": {"batch_size": 1, "prompt_length": None, "context_length": None},
    }

    def __init__(self, text):
        self.layers = []
        group, count = [], 0
        for match in self.OP.finditer(re.sub(r"//.*", "", text)):
            op, values = match.group(1), self.values(match.group(1), match.group(3))
            if op == "layers":
                self.layers += group * count
                group, count = [{}], values["count"]
            elif op in ("self_attention", "mlp", "sparse_mlp"):
                group[0][op] = values
            else:
                setattr(self, op, values)
        self.layers += group * count

    def values(self, op, text):
        result = dict(self.DEFAULTS[op])
        for name, value in re.findall(r"(\w+)\s*=\s*([^,\s]+)", text):
            if name not in result:
                raise SystemExit(f"moe.{op}: this model knows no {name}")
            if value in ("true", "false"):
                result[name] = value == "true"
            elif re.fullmatch(r"-?\d+", value):
                result[name] = int(value)
            elif re.fullmatch(r"-?\d+\.\d*(e[-+]?\d+)?", value):
                result[name] = float(value)
            else:
                result[name] = value
        missing = [name for name, value in result.items() if value is None]
        if missing:
            raise SystemExit(f"moe.{op} needs {', '.join(missing)}")
        return result

    def variables(self):
        """Yields (name, shape, kind): kind is "normal", "ones" (norms) or "buffer" (selection bias)."""
        hidden, vocab = self.model["hidden_size"], self.model["vocab_size"]
        yield "model.embed_tokens.weight", (vocab, hidden), "normal"
        for index, layer in enumerate(self.layers):
            prefix = f"model.layers.{index}."
            yield prefix + "input_layernorm.weight", (hidden,), "ones"
            attention = layer["self_attention"]
            heads = attention["num_heads"] * attention["head_dim"]
            kv_heads = attention["num_kv_heads"] * attention["head_dim"]
            yield prefix + "self_attn.q_proj.weight", (heads, hidden), "normal"
            yield prefix + "self_attn.k_proj.weight", (kv_heads, hidden), "normal"
            yield prefix + "self_attn.v_proj.weight", (kv_heads, hidden), "normal"
            yield prefix + "self_attn.o_proj.weight", (hidden, heads), "normal"
            if attention["qk_norm"]:
                yield prefix + "self_attn.q_norm.weight", (attention["head_dim"],), "ones"
                yield prefix + "self_attn.k_norm.weight", (attention["head_dim"],), "ones"
            yield prefix + "post_attention_layernorm.weight", (hidden,), "ones"
            if "mlp" in layer:
                width = layer["mlp"]["intermediate_size"]
                yield prefix + "mlp.gate_up_proj.weight", (2 * width, hidden), "normal"
                yield prefix + "mlp.down_proj.weight", (hidden, width), "normal"
                continue
            sparse = layer["sparse_mlp"]
            experts, width = sparse["num_experts"], sparse["moe_intermediate_size"]
            yield prefix + "mlp.gate.weight", (experts, hidden), "normal"
            yield prefix + "mlp.gate.e_score_correction_bias", (experts,), "buffer"
            yield prefix + "mlp.experts.gate_up_proj", (experts, 2 * width, hidden), "normal"
            yield prefix + "mlp.experts.down_proj", (experts, hidden, width), "normal"
            if sparse["num_shared_experts"]:
                width *= sparse["num_shared_experts"]
                yield prefix + "mlp.shared_experts.gate_up_proj.weight", (2 * width, hidden), "normal"
                yield prefix + "mlp.shared_experts.down_proj.weight", (hidden, width), "normal"
        yield "model.norm.weight", (hidden,), "ones"
        yield "lm_head.weight", (vocab, hidden), "normal"


def rms_norm(x, weight, eps):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight


def rope(x, theta):
    """x: [batch, sequence, heads, dim]; the pairs are (i, i + dim/2), as in Hugging Face's Llama."""
    sequence, dim = x.shape[1], x.shape[3]
    frequency = theta ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angle = torch.arange(sequence, dtype=torch.float64)[:, None] * frequency
    cos, sin = (f(angle).to(x.dtype)[None, :, None, :] for f in (torch.cos, torch.sin))
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def self_attention(x, weight, attention, eps):
    batch, sequence, _ = x.shape
    heads, kv_heads, dim = (attention[name] for name in ("num_heads", "num_kv_heads", "head_dim"))
    q = F.linear(x, weight("q_proj.weight")).view(batch, sequence, heads, dim)
    k = F.linear(x, weight("k_proj.weight")).view(batch, sequence, kv_heads, dim)
    v = F.linear(x, weight("v_proj.weight")).view(batch, sequence, kv_heads, dim)
    if attention["qk_norm"]:
        q, k = rms_norm(q, weight("q_norm.weight"), eps), rms_norm(k, weight("k_norm.weight"), eps)
    q, k = rope(q, attention["rope_theta"]), rope(k, attention["rope_theta"])
    k, v = (t.repeat_interleave(heads // kv_heads, dim=2) for t in (k, v))
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / dim**0.5
    future = torch.ones(sequence, sequence, dtype=torch.bool).triu(1)
    scores = scores.masked_fill(future, float("-inf")).softmax(-1)
    return F.linear(torch.einsum("bhqk,bkhd->bqhd", scores, v).reshape(batch, sequence, heads * dim),
                    weight("o_proj.weight"))


def swiglu(x, gate_up, down):
    gate, up = F.linear(x, gate_up).chunk(2, dim=-1)
    return F.linear(F.silu(gate) * up, down)


class Routing:
    """What one sparse layer decided: tokens per expert, the auxiliary loss, and how close the closest decision was."""

    def __init__(self, load, aux_loss, margin):
        self.load, self.aux_loss, self.margin = load, aux_loss, margin


def sparse_mlp(x, weight, sparse):
    """x: [tokens, hidden] -> (output, Routing)."""
    experts, top_k = sparse["num_experts"], sparse["top_k"]
    logits = F.linear(x, weight("gate.weight"))
    if sparse["scoring_func"] == "sigmoid":
        scores = logits.sigmoid()
        probabilities = scores / scores.sum(-1, keepdim=True)
    else:
        scores = probabilities = logits.softmax(-1)
    # The bias only selects: it is in no weight and has no gradient. A stable sort gives ties to the lower index.
    biased = (scores + weight("gate.e_score_correction_bias")).detach()
    ranked, order = biased.sort(dim=-1, descending=True, stable=True)
    selected = order[:, :top_k]
    gates = scores.gather(1, selected)
    if sparse["norm_topk_prob"]:
        gates = gates / (gates.sum(-1, keepdim=True) + 1e-20)
    gates = gates * sparse["routed_scaling_factor"]

    output = torch.zeros_like(x)
    for expert in range(experts):
        token, slot = (selected == expert).nonzero(as_tuple=True)
        result = swiglu(x[token], weight("experts.gate_up_proj")[expert], weight("experts.down_proj")[expert])
        output = output.index_add(0, token, result * gates[token, slot][:, None])
    if sparse["num_shared_experts"]:
        output = output + swiglu(x, weight("shared_experts.gate_up_proj.weight"),
                                 weight("shared_experts.down_proj.weight"))

    load = torch.bincount(selected.flatten(), minlength=experts)
    share = load.to(x.dtype) / (x.shape[0] * top_k)
    aux_loss = sparse["aux_loss_alpha"] * experts * (share * probabilities.mean(0)).sum()
    margin = (ranked[:, top_k - 1] - ranked[:, top_k]).min().item() if top_k < experts else float("inf")
    return output, Routing(load, aux_loss, margin)


def forward(description, variables, tokens):
    """tokens: [batch, sequence] -> (logits [batch, sequence, vocab], {layer: Routing})."""
    eps = description.model["rms_norm_eps"]
    x = F.embedding(tokens.long(), variables["model.embed_tokens.weight"])
    routings = {}
    for index, layer in enumerate(description.layers):
        weight = lambda name, prefix=f"model.layers.{index}.": variables[prefix + name]
        y = rms_norm(x, weight("input_layernorm.weight"), eps)
        x = x + self_attention(y, lambda name: weight("self_attn." + name), layer["self_attention"], eps)
        y = rms_norm(x, weight("post_attention_layernorm.weight"), eps)
        if "mlp" in layer:
            x = x + swiglu(y, weight("mlp.gate_up_proj.weight"), weight("mlp.down_proj.weight"))
        else:
            y, routings[index] = sparse_mlp(y.flatten(0, 1), lambda name: weight("mlp." + name), layer["sparse_mlp"])
            x = x + y.view_as(x)
    x = rms_norm(x, variables["model.norm.weight"], eps)
    return F.linear(x, variables["lm_head.weight"]), routings


def objective(description, variables, tokens, targets, weights):
    """-> (loss, auxiliary loss, {layer: Routing}); training minimises the sum of the two."""
    logits, routings = forward(description, variables, tokens)
    nll = F.cross_entropy(logits.flatten(0, 1), targets.flatten().long(), reduction="none")
    loss = (weights.flatten() * nll).sum() / weights.sum()
    return loss, sum((routing.aux_loss for routing in routings.values()), torch.zeros_like(loss)), routings


class Trainer:
    """AdamW, global-norm clipping and the selection bias, as the entry point `train_step` does them."""

    def __init__(self, description, variables):
        self.description = description
        self.buffers = {name for name, _, kind in description.variables() if kind == "buffer"}
        self.variables = {name: value.clone() for name, value in variables.items()}
        self.moments = {name: (torch.zeros_like(value), torch.zeros_like(value))
                        for name, value in variables.items() if name not in self.buffers}

    def gradients(self, tokens, targets, weights):
        """-> ((loss, auxiliary loss, {layer: Routing}), {parameter: gradient})."""
        leaves = {name: value.detach().clone().requires_grad_(name not in self.buffers)
                  for name, value in self.variables.items()}
        result = objective(self.description, leaves, tokens, targets, weights)
        (result[0] + result[1]).backward()
        return result, {name: leaves[name].grad for name in self.moments}

    def step(self, tokens, targets, weights, learning_rate, bias_correction1, bias_correction2):
        """-> ((loss, auxiliary loss, {layer: Routing}), {parameter: gradient before clipping}, norm of it)."""
        training = self.description.training
        result, gradients = self.gradients(tokens, targets, weights)
        norm = torch.sqrt(sum(gradient.square().sum() for gradient in gradients.values()))
        scale = min(1.0, training["max_grad_norm"] / (norm.item() + 1e-6))
        for name, (m, v) in self.moments.items():
            parameter, gradient = self.variables[name], gradients[name] * scale
            m.mul_(training["beta1"]).add_(gradient * (1 - training["beta1"]))
            v.mul_(training["beta2"]).add_(gradient.square() * (1 - training["beta2"]))
            if parameter.dim() >= 2:
                parameter.mul_(1 - learning_rate * training["weight_decay"])
            denominator = (v / bias_correction2).sqrt() + training["epsilon"]
            parameter.sub_(learning_rate * (m / bias_correction1) / denominator)
        for index, routing in result[2].items():
            rate = self.description.layers[index]["sparse_mlp"]["bias_update_rate"]
            load = routing.load.to(norm.dtype)
            bias = self.variables[f"model.layers.{index}.mlp.gate.e_score_correction_bias"]
            bias.add_(rate * (load.mean() - load).sign())
        return result, gradients, norm
