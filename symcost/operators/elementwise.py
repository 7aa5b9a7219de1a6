"""Operators that treat each element by itself."""

from __future__ import annotations

from typing import Literal

from symcost.graph import Gradients, Outputs, Scope
from symcost.operators.base import Operator, Out, Rule, broadcast, operator, width_of
from symcost.operators.reduction import sum_to
from symcost.symbols import Expr
from symcost.tensor import Tensor, product


def _fit(g: Scope, gradient: Tensor, x: Tensor) -> Tensor:
    """The gradient of an operand that was repeated to the shape of the result."""
    return gradient if gradient.shape == x.shape else sum_to(g, gradient, shape=x.shape)


@operator(torch="aten.add", flops=1, unit="output element", reason="one addition")
def add(a: Tensor, b: Tensor) -> Rule:
    """Sum of two tensors."""
    out = Out(broadcast(a, b), width_of(a, b))

    def backward(g: Scope, dy: Tensor, _: Outputs) -> Gradients:
        return (
            _fit(g / "grad_a", dy, a) if a.differentiable else None,
            _fit(g / "grad_b", dy, b) if b.differentiable else None,
        )

    return Rule(
        out=(out,),
        reads=(a, b),
        vector_elements=product(out.shape),
        inputs=(a, b),
        backward=backward,
    )


@operator(torch="aten.mul", flops=1, unit="output element", reason="one multiplication")
def mul(a: Tensor, b: Tensor) -> Rule:
    """Product of two tensors, element by element."""
    out = Out(broadcast(a, b), width_of(a, b))

    def backward(g: Scope, dy: Tensor, _: Outputs) -> Gradients:
        return (
            _fit(g / "grad_a", mul(g / "grad_a", dy, b), a) if a.differentiable else None,
            _fit(g / "grad_b", mul(g / "grad_b", dy, a), b) if b.differentiable else None,
        )

    return Rule(
        out=(out,),
        reads=(a, b),
        vector_elements=product(out.shape),
        inputs=(a, b),
        backward=backward,
    )


def _unary(
    name: str,
    *,
    torch: str,
    flops: int,
    reason: str,
    backward_torch: str,
    backward_flops: int,
    backward_reason: str,
    saves: Literal["input", "result", "nothing"] = "input",
) -> Operator[[Tensor]]:
    """An operator on one tensor, and that of its gradient, given what the forward pass saves."""

    def gradient(dy: Tensor, *saved: Tensor) -> Rule:
        return Rule(out=(Out(dy.shape, dy.width),), reads=(dy, *saved), vector_elements=dy.elements)

    def forward(x: Tensor) -> Rule:
        def backward(g: Scope, dy: Tensor, made: Outputs) -> Gradients:
            saved = {"input": (x,), "result": made, "nothing": ()}[saves]
            return (grad_of(g / "grad_input", dy, *saved),)

        return Rule(
            out=(Out(x.shape, x.width),),
            reads=(x,),
            vector_elements=x.elements,
            inputs=(x,),
            backward=backward,
        )

    forward.__name__, gradient.__name__ = name, f"{name}_backward"
    grad_of = operator(
        torch=backward_torch, flops=backward_flops, unit="element", reason=backward_reason
    )(gradient)
    return operator(torch=torch, flops=flops, unit="element", reason=reason)(forward)


neg = _unary(
    "neg",
    torch="aten.neg",
    flops=1,
    reason="change the sign",
    backward_torch="aten.neg",
    backward_flops=1,
    backward_reason="change the sign",
    saves="nothing",
)
scale = _unary(
    "scale",
    torch="aten.mul.Scalar",
    flops=1,
    reason="one multiplication by a constant, or one addition of one",
    backward_torch="aten.mul",
    backward_flops=1,
    backward_reason="one multiplication by a constant",
    saves="nothing",
)
square = _unary(
    "square",
    torch="aten.pow",
    flops=1,
    reason="one multiplication",
    backward_torch="aten.pow, aten.mul",
    backward_flops=2,
    backward_reason="twice the input, times the gradient",
)
rsqrt = _unary(
    "rsqrt",
    torch="aten.rsqrt",
    flops=1,
    reason="one elementary function",
    backward_torch="aten.pow, aten.mul",
    backward_flops=4,
    backward_reason="result cubed (2), times -1/2, times the gradient",
    saves="result",
)
cos = _unary(
    "cos",
    torch="aten.cos",
    flops=1,
    reason="one elementary function",
    backward_torch="aten.sin, aten.neg, aten.mul",
    backward_flops=3,
    backward_reason="sin, change the sign, times the gradient",
)
sin = _unary(
    "sin",
    torch="aten.sin",
    flops=1,
    reason="one elementary function",
    backward_torch="aten.cos, aten.mul",
    backward_flops=2,
    backward_reason="cos, times the gradient",
)
sigmoid = _unary(
    "sigmoid",
    torch="aten.sigmoid",
    flops=4,
    reason="change the sign, exp, plus one, reciprocal",
    backward_torch="aten.sigmoid_backward",
    backward_flops=3,
    backward_reason="one minus the result, times the result, times the gradient",
    saves="result",
)
silu = _unary(
    "silu",
    torch="aten.silu",
    flops=5,
    reason="sigmoid (4), times the input",
    backward_torch="aten.silu_backward",
    backward_flops=9,
    backward_reason="sigmoid (4), one minus it, times the input, plus one, times sigmoid, "
    "times the gradient",
)
gelu = _unary(
    "gelu",
    torch="aten.gelu",
    flops=5,
    reason="x/2 times (1 + erf(x / sqrt 2)): divide, erf, plus one, times x, halve",
    backward_torch="aten.gelu_backward",
    backward_flops=11,
    backward_reason="the normal distribution (divide, erf, plus one, halve), its density (square, "
    "scale, exp, scale), density times x, sum, times the gradient",
)


@operator(torch="aten._to_copy")
def cast(x: Tensor, *, width: Expr) -> Rule:
    """The same numbers in another width."""

    def backward(g: Scope, dy: Tensor, _: Outputs) -> Gradients:
        return (cast(g / "grad_input", dy, width=x.width),)

    return Rule(out=(Out(x.shape, width),), reads=(x,), inputs=(x,), backward=backward)
