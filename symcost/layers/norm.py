"""Normalisation layers."""

from __future__ import annotations

from symcost.graph import Scope
from symcost.layers.kernels import RMS_NORM
from symcost.operators import (
    cast,
    layer_norm,
    mean,
    mul,
    rsqrt,
    scale,
    square,
)
from symcost.symbols import FLOAT32_WIDTH
from symcost.tensor import Tensor


def norm(g: Scope, x: Tensor) -> Tensor:
    """LayerNorm over the features of x (torch: nn.LayerNorm)."""
    return layer_norm(g, x, g.weight("weight", x.features), g.weight("bias", x.features))


def norm_2d(g: Scope, x: Tensor) -> Tensor:
    """LayerNorm over the channels of x (b, c, h, w) (transformers: UnlimitedOcrSamLayerNorm)."""
    return norm(g, x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def rms_norm(g: Scope, x: Tensor) -> Tensor:
    """RMSNorm in float32 as a chain of operators (transformers: LlamaRMSNorm)."""
    at = g.fused(RMS_NORM)
    wide = cast(at / "to_float32", x, width=FLOAT32_WIDTH)
    variance = mean(at / "variance", square(at / "square", wide))
    g.holds(variance)
    inverse = rsqrt(at / "rsqrt", scale(at / "add_epsilon", variance))
    normed = cast(at / "to_input", mul(at / "normalise", wide, inverse), width=x.width)
    return mul(at / "times_weight", normed, g.weight("weight", x.features))
