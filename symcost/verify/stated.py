"""What the formulas state, told apart to the single modules of the real model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symcost.cost import MACS, VECTOR_FLOPS, Cost, Resource, StageCost, Storage
from symcost.exact import Evaluator, Number
from symcost.graph import Operation
from symcost.models import load
from symcost.operators import OPERATORS
from symcost.paths import enclosing, expanded
from symcost.stages import Stage, SyntheticKVCache
from symcost.symbols import B, Expr, K, S
from symcost.tensor import Kind

REFERENCE = "transformers"
"""The reference that the real model is."""

FVCORE_NORM_FLOPS = 5
"""What fvcore counts for each element of a LayerNorm with weight and bias."""


@dataclass(frozen=True)
class Share:
    """What one of the equal layers of a path spends or holds there.

    The path is that of an operator, a parameter or a part of the cache.
    """

    path: str
    amount: Expr


@dataclass(frozen=True)
class Stated:
    """The costs of a stage, and the operators that it runs by path."""

    stage: Stage
    forward: StageCost
    backward: StageCost
    operators: Mapping[str, str]


def stated_stages(model: str = "deepseek-ocr", **options: Any) -> dict[Stage, Stated]:
    """What is stated for every stage, in B, S, K and the sizes of the views.

    Parameters
    ----------
    **options
        What `symcost.load` takes besides the reference.
    """
    built = load(model, reference=REFERENCE, **options)
    stages: dict[Stage, Stated] = {}
    for stage in Stage:
        if stage is Stage.VISION:
            built.start_vision(B)
        elif stage is Stage.PREFILL:
            built.start_prefill(S, B, SyntheticKVCache(B, K))
        else:
            built.start_decode(SyntheticKVCache(B, K))
        operations: list[Operation] = [
            operation for graph in built.graphs.values() for operation in graph.operations
        ]
        stages[stage] = Stated(
            stage,
            built.get_forward_cost(),
            built.get_backward_cost(),
            {operation.path: operation.operator for operation in operations},
        )
    return stages


def shares(cost: Cost, resource: Resource, factor: Expr | int = 1) -> Iterator[Share]:
    """The entries of a resource, for a single one of the layers that stand together."""
    for entry in cost.entries:
        if entry.resource == resource:
            yield Share(entry.path, factor * entry.amount / len(expanded(entry.path)))


def matrix_flops(cost: Cost) -> list[Share]:
    """What torch's FlopCounterMode counts: 2 for each multiply-accumulate."""
    return list(shares(cost, MACS, 2))


def fvcore_count(stated: Stated) -> list[Share]:
    """What fvcore counts: 1 for each multiply-accumulate, and LayerNorm by its own rule."""
    per_element = OPERATORS["layer_norm"].flops_per_element
    norms = shares(stated.forward, VECTOR_FLOPS, sp.Rational(FVCORE_NORM_FLOPS, per_element))
    return [
        *shares(stated.forward, MACS),
        *(norm for norm in norms if stated.operators.get(norm.path) == "layer_norm"),
    ]


def weight_bytes(cost: Cost) -> list[Share]:
    """The bytes of each parameter."""
    return list(shares(cost, Storage(Kind.WEIGHT)))


def cache_bytes(cost: Cost) -> list[Share]:
    """The bytes of the cache after the stage."""
    return list(shares(cost, Storage(Kind.KV)))


def by_module(given: Iterable[Share], bindings: Mapping[sp.Symbol, Number]) -> dict[str, Number]:
    """The totals of all modules at a point, by path; the whole is the path ""."""
    evaluator = Evaluator(bindings)
    totals: dict[str, Number] = defaultdict(int)
    for share in given:
        amount = evaluator(share.amount)
        if amount:
            for path in expanded(share.path):
                for module in enclosing(path):
                    totals[module] += amount
    return totals


def formulas_by_module(given: Iterable[Share]) -> dict[str, Expr]:
    """The formulas of all modules by path; the whole is the path ""."""
    terms: dict[str, list[Expr]] = defaultdict(list)
    for share in given:
        for path in expanded(share.path):
            for module in enclosing(path):
                terms[module].append(share.amount)
    return {module: sp.Add(*amounts) for module, amounts in terms.items()}
