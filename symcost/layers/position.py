"""Position tables: absolute, relative and rotary."""

from __future__ import annotations

from symcost.graph import Kernel, Scope
from symcost.layers.kernels import ROTARY_TABLES
from symcost.operators import (
    add,
    arange,
    cast,
    concat,
    copy,
    cos,
    einsum,
    gather,
    index_arithmetic,
    interpolate_bicubic,
    interpolate_linear,
    matmul,
    mul,
    neg,
    scale,
    sin,
)
from symcost.symbols import FLOAT32_WIDTH, INDEX_WIDTH, Expr, Size, as_expr, differs, floor_div
from symcost.tensor import Tensor


def absolute_grid(g: Scope, table: Tensor, side: Size) -> Tensor:
    """A table (1, n, n, h) for a grid of the given side, resized unless it was trained for it.

    Transformers: interpolate_pos_encoding of SAM and of CLIP.
    """
    one, trained, _, features = table.shape
    return interpolate_bicubic(
        g / "interpolate",
        table,
        shape=(one, as_expr(side), as_expr(side), features),
        needed=differs(side, trained),
    )


def distances(g: Scope, side: Size) -> Tensor:
    """How far each query along an axis is from each key (s, s), as rows of a table.

    The reference goes from integers to float32 and back. Transformers: get_rel_pos of SAM.
    """
    column, row = (
        index_arithmetic(
            g / f"{name}_to_float32", arange(g / name, side), width=FLOAT32_WIDTH
        ).reshape(*shape)
        for name, shape in (("queries", (side, 1)), ("keys", (1, side)))
    )
    apart = index_arithmetic(g / "subtract", column, row, width=FLOAT32_WIDTH)
    shifted = index_arithmetic(g / "shift", apart, width=FLOAT32_WIDTH)
    return cast(g / "to_integer", shifted, width=INDEX_WIDTH)


def relative_bias(
    g: Scope, query: Tensor, *, trained_side: Size, always_resize: bool, kernel: Kernel | None
) -> Tensor:
    """Decomposed relative positions of queries (b, s, s, d): a bias (b, s, s, s, s).

    Transformers: get_decomposed_rel_pos of SAM, which resizes the tables at every size; the
    vendor's code does so only where the side is not the trained one.

    Parameters
    ----------
    kernel : Kernel or None
        What puts the bias together from its rows and columns: a kernel of attention does so
        without writing it down.
    """
    _, side, _, features = query.shape
    length, trained = 2 * side - 1, 2 * as_expr(trained_side) - 1
    by_axis = []
    for axis, equation in (("h", "bhwc,hkc->bhwk"), ("w", "bhwc,wkc->bhwk")):
        table = interpolate_linear(
            g / f"interpolate_{axis}",
            g.weight(f"rel_pos_{axis}", trained, features),
            shape=(length, features),
            needed=as_expr(1) if always_resize else differs(side, trained_side),
        )
        rows = gather(g / f"rows_{axis}", table, distances(g / f"distances_{axis}", side))
        if axis == "w":
            # Queries of one column lie apart: the contraction brings them together first.
            query = copy(g / "query_by_column", query)
        by_axis.append(einsum(g / f"rel_{axis}", equation, query, rows))
    by_row, by_column = by_axis
    batch, height, width, keys = by_row.shape
    at = g.inside(kernel)
    both = add(
        at / "add_axes",
        by_row.reshape(batch, height, width, keys, 1),
        by_column.reshape(batch, height, width, 1, keys),
    )
    return copy(at / "by_query", both)


def rotary_tables(
    g: Scope, positions: Tensor, frequencies: Tensor, *, by_matmul: bool, width: Expr
) -> tuple[Tensor, Tensor]:
    """Cosines and sines (1, s, d) of positions (1, s) and inverse frequencies (d / 2).

    The vendor's reference (transformers 4: LlamaRotaryEmbedding) multiplies matrices, the port
    (transformers 5) multiplies element by element. Both work in float32.
    """
    at = g.fused(ROTARY_TABLES)
    one, tokens = positions.shape
    half = frequencies.features
    wide = cast(at / "to_float32", positions, width=FLOAT32_WIDTH)
    column, row = wide.reshape(one, tokens, 1), frequencies.reshape(1, 1, half)
    product = matmul if by_matmul else mul
    angles = product(at / "angles", column, row)
    both = concat(at / "both_halves", angles, angles, dim=-1)
    g.holds(angles, both)
    cosines = scale(at / "scale_cos", cos(at / "cos", both))
    sines = scale(at / "scale_sin", sin(at / "sin", both))
    return (
        cast(at / "cos_to_input", cosines, width=width),
        cast(at / "sin_to_input", sines, width=width),
    )


def rotate(g: Scope, x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotary positions applied to x (b, heads, s, d) (transformers: apply_rotary_pos_emb)."""
    half = floor_div(x.features, 2)
    first, second = x.split(-1, half, half)
    turned = concat(g / "rotate_half", neg(g / "neg", second), first, dim=-1)
    kept = mul(g / "times_cos", x, cosines)
    return add(g / "sum", kept, mul(g / "times_sin", turned, sines))
