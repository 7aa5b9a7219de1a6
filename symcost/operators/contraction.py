"""Operators of the matrix engine: products and convolutions."""

from __future__ import annotations

import sympy as sp

from symcost.errors import ShapeError
from symcost.graph import Gradients, Outputs, Scope
from symcost.operators.base import Out, Rule, operator, require, require_at_most, touched, width_of
from symcost.operators.reduction import sum_to
from symcost.symbols import Expr, Size, floor_div
from symcost.tensor import Tensor, product, same, shape_text


@operator(
    torch="aten.mm, aten.addmm", flops=1, unit="output element, with a bias", reason="add the bias"
)
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Rule:
    """Product of rows (..., i) with a weight (o, i), plus a bias (o)."""
    outer, inner = weight.shape
    require("inner size", x.features, inner, x, weight)
    if bias is not None:
        require("output size", outer, bias.features, weight, bias)
    out = Out((*x.shape[:-1], outer), x.width)

    def backward(g: Scope, dy: Tensor, _: Outputs) -> Gradients:
        rows = dy.reshape(dy.rows, outer)
        dx = matmul(g / "grad_input", rows, weight).reshape(*x.shape) if x.differentiable else None
        dw = matmul(g / "grad_weight", rows.transposed, x.reshape(x.rows, inner))
        if bias is None:
            return dx, dw
        return dx, dw, sum_to(g / "grad_bias", rows, shape=bias.shape)

    tensors = (x, weight) if bias is None else (x, weight, bias)
    return Rule(
        out=(out,),
        reads=tensors,
        macs=x.rows * inner * outer,
        vector_elements=product(out.shape) if bias is not None else sp.Integer(0),
        inputs=tensors,
        backward=backward,
    )


@operator(torch="aten.bmm, aten.mm")
def matmul(a: Tensor, b: Tensor) -> Rule:
    """Batched product of (..., m, k) and (..., k, n)."""
    *batch, m, inner = a.shape
    *other, inner_b, n = b.shape
    require("inner size", inner, inner_b, a, b)
    if len(batch) != len(other) or not all(map(same, batch, other)):
        raise ShapeError(
            f"batch sizes of {a.name} {shape_text(a.shape)} and {b.name} {shape_text(b.shape)} "
            "differ"
        )

    def backward(g: Scope, dy: Tensor, _: Outputs) -> Gradients:
        return (
            matmul(g / "grad_a", dy, b.transposed) if a.differentiable else None,
            matmul(g / "grad_b", a.transposed, dy) if b.differentiable else None,
        )

    return Rule(
        out=(Out((*batch, m, n), a.width),),
        reads=(a, b),
        macs=product(batch) * m * inner * n,
        inputs=(a, b),
        backward=backward,
    )


@operator(torch="aten.bmm")
def einsum(equation: str, a: Tensor, b: Tensor) -> Rule:
    """Contraction of two tensors in Einstein's notation, such as 'bhwc,hkc->bhwk'."""
    inputs, result = equation.split("->")
    of_a, of_b = inputs.split(",")
    sizes: dict[str, Expr] = {}
    for letters, tensor, other in ((of_a, a, b), (of_b, b, a)):
        if len(letters) != len(tensor.shape):
            raise ShapeError(f"'{letters}' does not name the sizes of {shape_text(tensor.shape)}")
        for letter, size in zip(letters, tensor.shape, strict=True):
            require(f"size {letter}", sizes.setdefault(letter, size), size, other, tensor)

    def backward(g: Scope, dy: Tensor, _: Outputs) -> Gradients:
        return (
            einsum(g / "grad_a", f"{result},{of_b}->{of_a}", dy, b) if a.differentiable else None,
            einsum(g / "grad_b", f"{result},{of_a}->{of_b}", dy, a) if b.differentiable else None,
        )

    return Rule(
        out=(Out(tuple(sizes[letter] for letter in result), width_of(a, b)),),
        reads=(a, b),
        macs=product(list(sizes.values())),
        inputs=(a, b),
        backward=backward,
    )


@operator(
    torch="aten.convolution", flops=1, unit="output element, with a bias", reason="add the bias"
)
def conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, stride: Size = 1, padding: int = 0
) -> Rule:
    """Convolution of (b, i, h, w) with (o, i, kh, kw)."""
    batch, channels, *sides = x.shape
    outer, inner, *window = weight.shape
    require("channels", channels, inner, x, weight)
    moved = [
        floor_div(side + 2 * padding - extent, stride) + 1
        for side, extent in zip(sides, window, strict=True)
    ]
    out = Out((batch, outer, *moved), x.width)
    macs = product(out.shape) * inner * product(window)

    def backward(g: Scope, dy: Tensor, _: Outputs) -> Gradients:
        dx = conv2d_grad(g / "grad_input", dy, weight, x, macs=macs) if x.differentiable else None
        dw = conv2d_grad(g / "grad_weight", dy, x, weight, macs=macs)
        if bias is None:
            return dx, dw
        channels_last = dy.permute(0, 2, 3, 1)
        return dx, dw, sum_to(g / "grad_bias", channels_last, shape=bias.shape)

    tensors = (x, weight) if bias is None else (x, weight, bias)
    return Rule(
        out=(out,),
        reads=tensors,
        macs=macs,
        vector_elements=product(out.shape) if bias is not None else sp.Integer(0),
        inputs=tensors,
        backward=backward,
    )


@operator(torch="aten.convolution_backward")
def conv2d_grad(dy: Tensor, other: Tensor, wanted: Tensor, *, macs: Expr) -> Rule:
    """Gradient of one operand of a convolution: each product of the forward pass once."""
    return Rule(out=(Out(wanted.shape, dy.width),), reads=(dy, other), macs=macs)


@operator(torch="aten.mm per chosen expert, aten._grouped_mm")
def grouped_linear(x: Tensor, weight: Tensor, *, experts: Expr) -> Rule:
    """Product of each row (p, i) with the weight of its expert, one of (e, o, i).

    Parameters
    ----------
    experts : sympy.Expr
        How many distinct experts the rows name: so many of the weights are read.
    """
    pairs, features = x.shape
    stored, outer, inner = weight.shape
    require("inner size", features, inner, x, weight)
    require_at_most("experts", experts, stored, weight)
    macs = pairs * inner * outer

    def backward(g: Scope, dy: Tensor, _: Outputs) -> Gradients:
        swapped = weight.permute(0, 2, 1)
        return (
            grouped_linear(g / "grad_input", dy, swapped, experts=experts),
            grouped_grad(g / "grad_weight", dy, x, shape=weight.shape, experts=experts),
        )

    return Rule(
        out=(Out((pairs, outer), x.width),),
        reads=(x, touched(weight, experts * outer * inner)),
        macs=macs,
        inputs=(x, weight),
        backward=backward,
    )


@operator(torch="aten.mm per chosen expert")
def grouped_grad(dy: Tensor, x: Tensor, *, shape: tuple[Expr, ...], experts: Expr) -> Rule:
    """Gradient of the experts' weights (e, o, i): written for the experts that were chosen."""
    _, outer, inner = shape
    return Rule(
        out=(Out(shape, dy.width, written=experts * outer * inner),),
        reads=(dy, x),
        macs=dy.rows * inner * outer,
    )
