"""Mixture of experts."""

from __future__ import annotations

from symcost.graph import Kernel, Scope
from symcost.layers.kernels import (
    EXPERTS_DOWN,
    EXPERTS_GATE_AND_UP,
    ROUTER_CHOICE,
    ROUTER_LOGITS,
)
from symcost.layers.mlp import gated_mlp
from symcost.operators import (
    add,
    cast,
    combine,
    dispatch,
    grouped_linear,
    linear,
    mul,
    scale,
    silu,
    softmax,
    sort_by_expert,
    top_k,
    weigh,
)
from symcost.symbols import FLOAT32_WIDTH, Size, as_expr, ceil_div
from symcost.tensor import Tensor


def router(g: Scope, x: Tensor, *, experts: Size, chosen: Size) -> tuple[Tensor, Tensor]:
    """Weights and numbers of the experts of each token (t, h): softmax, then top-k, in float32.

    Transformers: UnlimitedOcrTextTopkRouter.
    """
    at = g.fused(ROUTER_LOGITS)
    wide = cast(at / "to_float32", x, width=FLOAT32_WIDTH)
    weight = cast(
        at / "weight_to_float32", g.weight("weight", experts, x.features), width=FLOAT32_WIDTH
    )
    logits = linear(at / "logits", wide, weight)
    at = g.fused(ROUTER_CHOICE)
    scores = softmax(at / "softmax", logits, width=FLOAT32_WIDTH)
    best, numbers = top_k.outputs(at / "top_k", scores, count=chosen)
    weights = scale(at / "scale", best)
    g.caller.holds(logits, weights, numbers)
    return weights, numbers


def routed_experts(
    g: Scope,
    x: Tensor,
    weights: Tensor,
    numbers: Tensor,
    *,
    experts: Size,
    touched: Size,
    features: Size,
) -> Tensor:
    """The gated MLPs of each token's experts on (t, h) (transformers: UnlimitedOcrTextExperts).

    Every token-expert pair is one row: work does not depend on the routing. How many distinct
    experts are touched does.
    """
    tokens, chosen = numbers.shape
    pairs, size = tokens * chosen, as_expr(features)
    hit = as_expr(touched)
    ids, places = sort_by_expert.outputs(g / "sort", numbers, experts=experts, hit=ceil_div(hit, 1))
    at = g.fused(EXPERTS_GATE_AND_UP)
    rows = dispatch(at / "dispatch", x, ids.reshape(pairs))
    both = grouped_linear(
        at / "gate_up",
        rows,
        g.weight("gate_up_proj", experts, 2 * size, x.features),
        experts=hit,
    )
    gate, up = both.split(-1, size, size)
    hidden = mul(at / "multiply", silu(at / "act_fn", gate), up)
    at = g.fused(EXPERTS_DOWN)
    result = grouped_linear(
        at / "down",
        hidden,
        g.weight("down_proj", experts, x.features, size),
        experts=hit,
    )
    weighted = weigh(at / "times_weight", result, weights, ids, places)
    return combine(at / "combine", weighted, ids)


def mixture_of_experts(
    g: Scope,
    x: Tensor,
    *,
    experts: Size,
    chosen: Size,
    touched: Size,
    features: Size,
    shared_features: Size,
    held: Size | None = None,
    kernel: Kernel | None = None,
) -> Tensor:
    """Routed and shared experts on x (b, s, h) (transformers: UnlimitedOcrTextMoe).

    Parameters
    ----------
    touched : int or sympy.Expr
        How many distinct experts that lie here are chosen.
    held : int or sympy.Expr, optional
        How many of the experts lie here, if not all. They get as many rows as the tokens here send
        to all of them.
    kernel : Kernel, optional
        What ends with the sum of both.
    """
    flat = x.reshape(x.rows, x.features)
    weights, numbers = router(g / "gate", flat, experts=experts, chosen=chosen)
    routed = routed_experts(
        g / "experts",
        flat,
        weights,
        numbers,
        experts=experts if held is None else held,
        touched=touched,
        features=features,
    )
    shared = gated_mlp(g / "shared_experts", x, shared_features, kernel=kernel)
    return add(g.inside(kernel) / "add_shared", routed.reshape(*x.shape), shared)
