"""Operators that run along a row: sums, means, softmax, normalisation."""

from __future__ import annotations

import sympy as sp

from symcost.graph import Gradients, Outputs, Scope, Scratch
from symcost.operators.base import Out, Rule, operator, require
from symcost.symbols import FLOAT32_WIDTH, Expr
from symcost.tensor import Shape, Tensor


@operator(torch="aten.mean", flops=1, unit="input element", reason="add it to the sum of its row")
def mean(x: Tensor) -> Rule:
    """Mean along the last dimension, which stays with size one."""
    return Rule(
        out=(Out((*x.shape[:-1], sp.Integer(1)), x.width),),
        reads=(x,),
        vector_elements=x.elements,
        inputs=(x,),
        backward=lambda _, dy, __: (dy.expand(*x.shape),),
    )


@operator(torch="aten.sum", flops=1, unit="input element", reason="add it to its sum")
def sum_to(x: Tensor, *, shape: Shape) -> Rule:
    """Sum along every dimension that the given shape has not, or has with size one."""
    return Rule(out=(Out(shape, x.width),), reads=(x,), vector_elements=x.elements)


@operator(
    torch="aten._softmax",
    flops=5,
    unit="element",
    reason="maximum, subtract, exp, sum, divide",
)
def softmax(x: Tensor, *, width: Expr) -> Rule:
    """Softmax along the last dimension, in the given width."""

    def backward(g: Scope, dy: Tensor, made: Outputs) -> Gradients:
        return (softmax_backward(g / "grad_input", dy, *made),)

    return Rule(
        out=(Out(x.shape, width),),
        reads=(x,),
        vector_elements=x.elements,
        inputs=(x,),
        backward=backward,
    )


@operator(
    torch="aten._softmax_backward_data",
    flops=4,
    unit="element",
    reason="multiply by the result, sum, subtract, multiply",
)
def softmax_backward(dy: Tensor, y: Tensor) -> Rule:
    """Gradient of softmax from the gradient and the result."""
    return Rule(out=(Out(y.shape, dy.width),), reads=(dy, y), vector_elements=y.elements)


@operator(
    torch="aten.native_layer_norm",
    flops=7,
    unit="element",
    reason="mean, subtract, square, mean of squares, times rsqrt, times weight, plus bias; "
    "the few operations per row are left out",
)
def layer_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Rule:
    """Normalisation of each row (..., h) with a weight and a bias (h).

    The reference also writes down the mean and the deviation of each row, in float32.
    """
    require("features", x.features, weight.features, x, weight)
    require("features", x.features, bias.features, x, bias)

    def backward(g: Scope, dy: Tensor, _: Outputs) -> Gradients:
        return (
            layer_norm_backward(g / "grad_input", dy, x, weight),
            layer_norm_grad_parameters(g / "grad_weight", dy, x),
            sum_to(g / "grad_bias", dy, shape=bias.shape),
        )

    return Rule(
        out=(Out(x.shape, x.width),),
        reads=(x, weight, bias),
        vector_elements=x.elements,
        inputs=(x, weight, bias),
        scratch=Scratch(written=2 * FLOAT32_WIDTH * x.rows),
        backward=backward,
    )


@operator(
    torch="aten.native_layer_norm_backward",
    flops=10,
    unit="element",
    reason="normalise again (2), times weight, product with the normalised row, two sums, "
    "times a mean, two subtractions, times rsqrt",
)
def layer_norm_backward(dy: Tensor, x: Tensor, weight: Tensor) -> Rule:
    """Gradient of the rows of a layer norm."""
    return Rule(out=(Out(x.shape, dy.width),), reads=(dy, x, weight), vector_elements=x.elements)


@operator(
    torch="aten.native_layer_norm_backward",
    flops=4,
    unit="element",
    reason="normalise again (2), multiply, sum",
)
def layer_norm_grad_parameters(dy: Tensor, x: Tensor) -> Rule:
    """Gradient of the weight of a layer norm."""
    return Rule(out=(Out((x.features,), dy.width),), reads=(dy, x), vector_elements=x.elements)
