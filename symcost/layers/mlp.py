"""Multilayer perceptrons."""

from __future__ import annotations

from symcost.graph import Scope
from symcost.layers.linear import dense
from symcost.operators import gelu, mul, scale, sigmoid, silu
from symcost.symbols import Size
from symcost.tensor import Tensor


def quick_gelu(g: Scope, x: Tensor) -> Tensor:
    """Multiply x by sigmoid(1.702 x), as a chain (transformers: QuickGELUActivation)."""
    gate = sigmoid(g / "sigmoid", scale(g / "scale", x))
    return mul(g / "multiply", x, gate)


def gelu_mlp(g: Scope, x: Tensor, features: Size) -> Tensor:
    """SAM's MLP with GELU (transformers: UnlimitedOcrSamMLPBlock)."""
    at = g.fused("linear_with_activation")
    hidden = gelu(at / "act", dense(at / "lin1", x, features, bias=True))
    return dense(g / "lin2", hidden, x.features, bias=True)


def quick_gelu_mlp(g: Scope, x: Tensor, features: Size) -> Tensor:
    """CLIP's MLP with QuickGELU (transformers: UnlimitedOcrMLP)."""
    at = g.fused("linear_with_activation")
    hidden = quick_gelu(at / "activation_fn", dense(at / "fc1", x, features, bias=True))
    return dense(g / "fc2", hidden, x.features, bias=True)


def gated_mlp(g: Scope, x: Tensor, features: Size) -> Tensor:
    """The gated MLP of Llama with SiLU (transformers: UnlimitedOcrTextMLP)."""
    at = g.fused("gate_and_up")
    gate = silu(at / "act_fn", dense(at / "gate_proj", x, features))
    up = dense(at / "up_proj", x, features)
    return dense(g / "down_proj", mul(at / "multiply", gate, up), x.features)
