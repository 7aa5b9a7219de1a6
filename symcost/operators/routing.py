"""Operators of mixture-of-experts routing."""

from __future__ import annotations

from symcost.graph import Gradients, Outputs, Scope
from symcost.operators.base import Out, Rule, operator, require, require_at_most
from symcost.operators.movement import gather, scatter
from symcost.symbols import INDEX_WIDTH, Size, as_expr
from symcost.tensor import Tensor


@operator(torch="aten.topk", flops=1, unit="score", reason="one comparison")
def top_k(scores: Tensor, *, count: Size) -> Rule:
    """The largest scores of each row and their positions."""
    require_at_most("count", count, scores.features, scores)
    shape = (*scores.shape[:-1], as_expr(count))

    def backward(g: Scope, dy: Tensor, made: Outputs) -> Gradients:
        return (scatter(g / "grad_scores", dy, made[1], shape=scores.shape),)

    return Rule(
        out=(Out(shape, scores.width), Out(shape, INDEX_WIDTH, differentiable=False)),
        reads=(scores,),
        vector_elements=scores.elements,
        inputs=(scores,),
        backward=backward,
    )


@operator(torch="aten.index_add", flops=1, unit="element that is added", reason="one addition")
def combine(values: Tensor, chosen: Tensor) -> Rule:
    """Sum the results of a token's experts: (p, h) and the choices (t, k) give (t, h)."""
    tokens, count = chosen.shape
    require("token-expert pairs", values.shape[0], tokens * count, values, chosen)

    def backward(g: Scope, dy: Tensor, _: Outputs) -> Gradients:
        return (gather(g / "grad_values", dy, chosen).reshape(*values.shape),)

    return Rule(
        out=(Out((tokens, values.features), values.width),),
        reads=(values, chosen),
        vector_elements=values.elements,
        inputs=(values,),
        backward=backward,
    )
