"""Windows of a grid of patches (transformers: window_partition and window_unpartition of SAM)."""

from __future__ import annotations

from symcost.graph import Scope
from symcost.layers.kernels import WINDOW_PARTITION, WINDOW_UNPARTITION
from symcost.operators import copy, crop, pad
from symcost.symbols import Size, as_expr, ceil_div
from symcost.tensor import Tensor


def partition(g: Scope, x: Tensor, window: Size) -> Tensor:
    """Cut x (b, n, n, h) into windows of m × m patches: (b·c², m, m, h) with c = ceil(n / m).

    The grid is padded with zeros to whole windows, so what runs on windows pays for the padding.
    """
    at = g.fused(WINDOW_PARTITION)
    batch, side, _, features = x.shape
    m, count = as_expr(window), ceil_div(side, window)
    padded = pad(at / "pad", x, shape=(batch, count * m, count * m, features))
    grid = padded.reshape(batch, count, m, count, m, features).permute(0, 1, 3, 2, 4, 5)
    return copy(at / "copy", grid).reshape(batch * count**2, m, m, features)


def unpartition(g: Scope, windows: Tensor, side: Size) -> Tensor:
    """Windows (b·c², m, m, h) as a grid (b, n, n, h) again, without the padding."""
    at = g.fused(WINDOW_UNPARTITION)
    total, m, _, features = windows.shape
    count = ceil_div(side, m)
    batch, n = total / count**2, as_expr(side)
    tiles = windows.reshape(batch, count, count, m, m, features).permute(0, 1, 3, 2, 4, 5)
    grid = copy(at / "copy", tiles).reshape(batch, count * m, count * m, features)
    return crop(at / "crop", grid, shape=(batch, n, n, features))
