"""Operators of mixture-of-experts routing."""

from __future__ import annotations

from dataclasses import replace

from symcost.graph import Gradients, Outputs, Scope, Scratch
from symcost.operators.base import Out, Rule, operator, require, require_at_most
from symcost.operators.elementwise import mul
from symcost.operators.movement import gather, scatter
from symcost.symbols import FLOAT32_WIDTH, INDEX_WIDTH, Expr, Size, as_expr
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


@operator(torch="aten.scatter, aten.sum, aten.gt, aten.nonzero")
def sort_by_expert(numbers: Tensor, *, experts: Size, hit: Expr) -> Rule:
    """Token-expert pairs (t, k) in the order of their experts: the token of each, and its place.

    The reference makes a mask of every pair and expert in int64, looks for the experts that are
    hit, and for each of them through its part of the mask.
    """
    rows = as_expr(experts) + 1
    mask = INDEX_WIDTH * numbers.elements * rows
    each_row = (INDEX_WIDTH + 1) * rows
    limits = 2 * INDEX_WIDTH
    pairs = Out(numbers.shape, INDEX_WIDTH, differentiable=False)
    return Rule(
        out=(pairs, pairs),
        reads=(numbers,),
        scratch=Scratch(
            read=2 * mask
            + (1 + hit) * INDEX_WIDTH * numbers.elements
            + each_row
            + limits
            + (4 * INDEX_WIDTH + 1) * hit,
            written=2 * mask + each_row + limits + (INDEX_WIDTH + 1) * hit,
        ),
    )


@operator(torch="aten.index")
def dispatch(x: Tensor, ids: Tensor) -> Rule:
    """Rows of x (t, h) by the token of each pair (p); the reference reads them for each expert."""
    again = (ids.elements - x.rows) * x.features * x.width
    return replace(gather.rule(x, ids), scratch=Scratch(read=again))


@operator(
    torch="aten.index, aten.mul, aten._to_copy",
    flops=1,
    unit="output element",
    reason="one multiplication",
)
def weigh(values: Tensor, weights: Tensor, ids: Tensor, places: Tensor) -> Rule:
    """Rows (p, h) times the weight of each, one of (t, k).

    The reference looks the weights up and multiplies in float32.
    """
    product = mul.rule(values, weights.reshape(values.shape[0], 1))
    looked_up = weights.elements * weights.width
    wide = values.elements * FLOAT32_WIDTH
    return replace(
        product,
        reads=(*product.reads, ids, places),
        scratch=Scratch(looked_up + wide, looked_up + wide),
    )


@operator(torch="aten.index_add_", flops=1, unit="element that is added", reason="one addition")
def combine(values: Tensor, chosen: Tensor) -> Rule:
    """Sum the results of a token's experts: (p, h) and the choices (t, k) give (t, h).

    The reference starts from zeros, and reads and writes a row of the sums for each pair.
    """
    tokens, count = chosen.shape
    require("token-expert pairs", values.shape[0], tokens * count, values, chosen)
    sums = values.elements * values.width

    def backward(g: Scope, dy: Tensor, _: Outputs) -> Gradients:
        return (gather(g / "grad_values", dy, chosen).reshape(*values.shape),)

    return Rule(
        out=(Out((tokens, values.features), values.width),),
        reads=(values, chosen),
        vector_elements=values.elements,
        inputs=(values,),
        scratch=Scratch(sums, sums),
        backward=backward,
    )
