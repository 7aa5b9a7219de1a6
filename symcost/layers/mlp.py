"""Multilayer perceptrons.

The last product of each may belong to a kernel that adds to its result what the caller has beside.
"""

from __future__ import annotations

from symcost.graph import Kernel, Scope
from symcost.layers.kernels import GATED_LINEAR, LINEAR_WITH_ACTIVATION
from symcost.layers.linear import dense
from symcost.operators import gelu, mul, scale, sigmoid, silu
from symcost.symbols import Size
from symcost.tensor import Tensor


def quick_gelu(g: Scope, x: Tensor) -> Tensor:
    """Multiply x by sigmoid(1.702 x), as a chain (transformers: QuickGELUActivation)."""
    gate = sigmoid(g / "sigmoid", scale(g / "scale", x))
    return mul(g / "multiply", x, gate)


def gelu_mlp(g: Scope, x: Tensor, features: Size, *, kernel: Kernel | None = None) -> Tensor:
    """SAM's MLP with GELU (transformers: UnlimitedOcrSamMLPBlock)."""
    at = g.fused(LINEAR_WITH_ACTIVATION)
    hidden = gelu(at / "act", dense(at / "lin1", x, features, bias=True))
    return dense(g.inside(kernel) / "lin2", hidden, x.features, bias=True)


def quick_gelu_mlp(g: Scope, x: Tensor, features: Size, *, kernel: Kernel | None = None) -> Tensor:
    """CLIP's MLP with QuickGELU (transformers: UnlimitedOcrMLP)."""
    at = g.fused(LINEAR_WITH_ACTIVATION)
    hidden = quick_gelu(at / "activation_fn", dense(at / "fc1", x, features, bias=True))
    return dense(g.inside(kernel) / "fc2", hidden, x.features, bias=True)


def gated_mlp(g: Scope, x: Tensor, features: Size, *, kernel: Kernel | None = None) -> Tensor:
    """The gated MLP of Llama with SiLU (transformers: UnlimitedOcrTextMLP)."""
    at = g.fused(GATED_LINEAR)
    gate = silu(at / "act_fn", dense(at / "gate_proj", x, features))
    up = dense(at / "up_proj", x, features)
    hidden = mul(at / "multiply", gate, up)
    return dense(g.inside(kernel) / "down_proj", hidden, x.features)
