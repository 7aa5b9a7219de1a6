"""Operators that move elements and compute nothing, and interpolation of tables."""

from __future__ import annotations

import sympy as sp

from symcost.errors import ShapeError
from symcost.graph import Gradients, Outputs, Scope, Scratch
from symcost.operators.base import (
    Out,
    Rule,
    broadcast,
    operator,
    require,
    require_at_most,
    touched,
    width_of,
)
from symcost.symbols import FLOAT32_WIDTH, INDEX_WIDTH, ZERO, Expr, Size, as_expr
from symcost.tensor import Kind, Piece, Shape, Tensor, product, same, shape_text


@operator(torch="aten.clone")
def copy(x: Tensor) -> Rule:
    """The same elements in a new order of memory."""
    return Rule(
        out=(Out(x.shape, x.width),), reads=(x,), inputs=(x,), backward=lambda _, dy, __: (dy,)
    )


@operator(torch="aten.arange")
def arange(*sizes: Size) -> Rule:
    """Positions that the forward pass makes itself, of the given shape."""
    shape = tuple(as_expr(size) for size in sizes)
    return Rule(out=(Out(shape, INDEX_WIDTH, differentiable=False),), reads=())


@operator(torch="aten.mul, aten.sub, aten.add, aten.eq")
def index_arithmetic(*given: Tensor, width: Expr) -> Rule:
    """A step of the arithmetic on positions, broadcast, for which no FLOPs are counted."""
    return Rule(out=(Out(broadcast(*given), width, differentiable=False),), reads=given)


@operator(torch="aten.constant_pad_nd")
def pad(x: Tensor, *, shape: Shape) -> Rule:
    """A tensor with zeros around it, in the given larger shape."""
    for own, size in zip(x.shape, shape, strict=True):
        require_at_most("size", own, size, x)

    def backward(g: Scope, dy: Tensor, _: Outputs) -> Gradients:
        return (crop(g / "grad_input", dy, shape=x.shape),)

    return Rule(out=(Out(shape, x.width),), reads=(x,), inputs=(x,), backward=backward)


@operator(torch="aten.slice, aten.clone")
def crop(x: Tensor, *, shape: Shape) -> Rule:
    """The corner of a tensor in the given smaller shape, copied."""
    for own, size in zip(x.shape, shape, strict=True):
        require_at_most("size", size, own, x)

    def backward(g: Scope, dy: Tensor, _: Outputs) -> Gradients:
        return (pad(g / "grad_input", dy, shape=x.shape),)

    return Rule(
        out=(Out(shape, x.width),),
        reads=(touched(x, product(shape)),),
        inputs=(x,),
        backward=backward,
    )


@operator(torch="aten.slice_backward")
def slice_backward(dy: Tensor, *, shape: Shape) -> Rule:
    """Gradient of a slice: zeros of the given shape with the gradient in its place."""
    return Rule(out=(Out(shape, dy.width),), reads=(dy,))


@operator(torch="aten.cat")
def concat(*tensors: Tensor, dim: int) -> Rule:
    """Tensors one after the other along a dimension."""
    first = tensors[0]
    axis = dim % len(first.shape)
    for other in tensors[1:]:
        if len(other.shape) != len(first.shape):
            raise ShapeError(f"{shape_text(first.shape)} and {shape_text(other.shape)} differ")
        for i, (a, b) in enumerate(zip(first.shape, other.shape, strict=True)):
            if i != axis:
                require(f"dimension {i}", a, b, first, other)
    shape = list(first.shape)
    shape[axis] = sp.Add(*(tensor.shape[axis] for tensor in tensors))

    def backward(_: Scope, dy: Tensor, __: Outputs) -> Gradients:
        lengths = [tensor.shape[axis] for tensor in tensors]
        parts = dy.split(axis, *lengths)
        return tuple(
            part if tensor.differentiable else None
            for part, tensor in zip(parts, tensors, strict=True)
        )

    return Rule(
        out=(Out(tuple(shape), width_of(*tensors)),),
        reads=tensors,
        inputs=tensors,
        backward=backward,
    )


@operator(torch="aten.embedding")
def embedding(table: Tensor, ids: Tensor) -> Rule:
    """Rows of a table (v, h) by token id: only these rows are read."""
    rows = ids.elements

    def backward(g: Scope, dy: Tensor, _: Outputs) -> Gradients:
        return (scatter(g / "grad_table", dy, ids, shape=table.shape),)

    return Rule(
        out=(Out((*ids.shape, table.features), width_of(table)),),
        reads=(touched(table, rows * table.features), ids),
        inputs=(table,),
        backward=backward,
    )


@operator(torch="aten.index")
def gather(x: Tensor, ids: Tensor) -> Rule:
    """Rows of x (r, h) by position, each row of it at least once."""

    def backward(g: Scope, dy: Tensor, _: Outputs) -> Gradients:
        return (scatter(g / "grad_input", dy, ids, shape=x.shape),)

    return Rule(
        out=(Out((*ids.shape, x.features), width_of(x)),),
        reads=(x, ids),
        inputs=(x,),
        backward=backward,
    )


@operator(torch="aten.index_put")
def scatter(values: Tensor, ids: Tensor, *, shape: Shape) -> Rule:
    """Rows put into their places of a tensor of the given shape, zero elsewhere."""
    return Rule(out=(Out(shape, values.width),), reads=(values, ids))


@operator(torch="aten.masked_fill")
def mask(x: Tensor, ids: Tensor) -> Rule:
    """A tensor with the rows that the ids mark set to zero."""
    return Rule(out=(Out(x.shape, x.width),), reads=(x, ids))


@operator(torch="aten.masked_scatter_backward")
def masked_scatter_backward(x: Tensor, ids: Tensor, *, shape: Shape) -> Rule:
    """The rows that the ids mark, in the given shape."""
    return Rule(out=(Out(shape, x.width),), reads=(touched(x, product(shape)), ids))


@operator(torch="aten.masked_scatter")
def masked_scatter(x: Tensor, values: Tensor, ids: Tensor) -> Rule:
    """A tensor with the rows that the ids mark replaced by the given ones."""
    require("features", x.features, values.features, x, values)

    def backward(g: Scope, dy: Tensor, _: Outputs) -> Gradients:
        return (
            mask(g / "grad_input", dy, ids),
            masked_scatter_backward(g / "grad_values", dy, ids, shape=values.shape),
        )

    return Rule(
        out=(Out(x.shape, x.width),), reads=(x, values, ids), inputs=(x, values), backward=backward
    )


@operator(torch="aten.cat of torch's DynamicCache; in place in a serving engine")
def cache_append(past: Tensor, new: Tensor, *, dim: int, width: Expr) -> Rule:
    """The cache with new entries behind those that it holds.

    The reference copies the whole cache; a kernel that attends to it in the same pass leaves what
    is cached where it lies. New entries are written whatever runs.
    """
    for i, (a, b) in enumerate(zip(past.shape, new.shape, strict=True)):
        if i != dim:
            require(f"dimension {i}", a, b, past, new)
    shape = list(past.shape)
    shape[dim] = past.shape[dim] + new.shape[dim]

    def backward(_: Scope, dy: Tensor, __: Outputs) -> Gradients:
        return None, dy.slice(dim, past.shape[dim], new.shape[dim])

    return Rule(
        out=(
            Out(
                shape=tuple(shape),
                width=width,
                kind=Kind.KV,
                written=new.elements,
                moved=past.elements,
                kept=True,
            ),
        ),
        reads=(past, new),
        inputs=(past, new),
        backward=backward,
    )


def _interpolate(table: Tensor, shape: Shape, needed: Expr, *, in_float32: bool) -> Rule:
    if not same(table.features, shape[-1]):
        raise ShapeError(
            f"{table.name} {shape_text(table.shape)} has other features than {shape_text(shape)}"
        )
    present = (Piece(table.region, (1 - needed) * table.elements),) if needed != 1 else ()

    def backward(g: Scope, dy: Tensor, _: Outputs) -> Gradients:
        return (interpolate_backward(g / "grad_table", dy, shape=table.shape, needed=needed),)

    wide = FLOAT32_WIDTH * needed * (table.elements + product(shape)) if in_float32 else ZERO
    return Rule(
        out=(Out(shape, width_of(table), written=needed * product(shape), present=present),),
        reads=(touched(table, needed * table.elements),),
        vector_elements=needed * product(shape),
        inputs=(table,),
        scratch=Scratch(wide, wide),
        backward=backward,
    )


@operator(
    torch="aten._upsample_bicubic2d_aa",
    flops=32,
    unit="output element",
    reason="16 neighbours, multiply and add each; wider filters of antialiasing are left out",
)
def interpolate_bicubic(table: Tensor, *, shape: Shape, needed: Expr) -> Rule:
    """A position table resized to another grid; the table itself where `needed` is zero.

    The reference casts the table to float32 and the result back.
    """
    return _interpolate(table, shape, needed, in_float32=True)


@operator(
    torch="aten.upsample_linear1d",
    flops=4,
    unit="output element",
    reason="2 neighbours, multiply and add each",
)
def interpolate_linear(table: Tensor, *, shape: Shape, needed: Expr) -> Rule:
    """A table of relative positions resized; the table itself where `needed` is zero."""
    return _interpolate(table, shape, needed, in_float32=False)


@operator(
    torch="aten._upsample_bicubic2d_aa_backward, aten.upsample_linear1d_backward",
    flops=32,
    unit="element of the gradient",
    reason="spread to 16 neighbours, multiply and add each; the linear form is bounded by it",
)
def interpolate_backward(dy: Tensor, *, shape: Shape, needed: Expr) -> Rule:
    """Gradient of a table that was resized."""
    present = (Piece(dy.region, (1 - needed) * dy.elements),) if needed != 1 else ()
    return Rule(
        out=(Out(shape, dy.width, written=needed * product(shape), present=present),),
        reads=(touched(dy, needed * dy.elements),),
        vector_elements=needed * dy.elements,
    )
