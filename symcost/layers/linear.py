"""Linear layers and convolutions with their own parameters."""

from __future__ import annotations

from symcost.graph import Scope
from symcost.operators import conv2d, linear
from symcost.symbols import Size
from symcost.tensor import Tensor


def dense(g: Scope, x: Tensor, features: Size, *, bias: bool = False) -> Tensor:
    """A linear layer (torch: nn.Linear)."""
    weight = g.weight("weight", features, x.features)
    return linear(g, x, weight, g.weight("bias", features) if bias else None)


def convolution(
    g: Scope,
    x: Tensor,
    channels: Size,
    *,
    kernel: Size,
    stride: Size = 1,
    padding: int = 0,
    bias: bool = False,
) -> Tensor:
    """A convolution with a square kernel (torch: nn.Conv2d)."""
    weight = g.weight("weight", channels, x.shape[1], kernel, kernel)
    terms = g.weight("bias", channels) if bias else None
    return conv2d(g, x, weight, terms, stride=stride, padding=padding)


def patch_embedding(g: Scope, pixels: Tensor, features: Size, *, patch: Size) -> Tensor:
    """Pixels (b, 3, i, i) to patches (b, n, n, h).

    Transformers: UnlimitedOcrSamPatchEmbeddings.
    """
    patches = convolution(g / "projection", pixels, features, kernel=patch, stride=patch, bias=True)
    return patches.permute(0, 2, 3, 1)
