"""What the formulas state, told apart to the single modules of the real model."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import sympy as sp

from symcost.autodiff import backward
from symcost.cost import MACS, VECTOR_FLOPS, Cost, Resource, StageCost, Storage
from symcost.exact import Evaluator, Number
from symcost.graph import Graph
from symcost.models import load
from symcost.models.deepseek_ocr.model import DeepseekOCRModel
from symcost.models.deepseek_ocr.routing import Routing
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
    """The costs of a stage, and the graphs that they are read off."""

    forward: StageCost
    backward: StageCost
    graphs: Mapping[str, Graph]

    @property
    def operators(self) -> dict[str, str]:
        """The rule that runs at each path, forward and backward."""
        return {
            op.path: op.operator
            for graph in self.graphs.values()
            for either in (backward(graph), graph)
            for op in either.operations
        }


def _entered(model: str, options: Mapping[str, Any]) -> Iterator[tuple[Stage, DeepseekOCRModel]]:
    """The model in one stage after the other, with symbols for all sizes."""
    built = load(model, reference=REFERENCE, routing=Routing.SYMBOLIC, **options)
    if built.has_vision:
        built.start_vision(B)
        yield Stage.VISION, built
    built.start_prefill(S, B, SyntheticKVCache(B, K))
    yield Stage.PREFILL, built
    built.start_decode(SyntheticKVCache(B, K))
    yield Stage.DECODE, built


def stated_stages(model: str = "deepseek-ocr", **options: Any) -> dict[Stage, Stated]:
    """What is stated for every stage, in B, S, K and the sizes of the views.

    Parameters
    ----------
    **options
        What `symcost.load` takes besides the reference.
    """
    return {
        stage: Stated(built.get_forward_cost(), built.get_backward_cost(), built.graphs)
        for stage, built in _entered(model, options)
    }


def stage_graphs(model: str = "deepseek-ocr", **options: Any) -> dict[Stage, dict[str, Graph]]:
    """The graphs of every stage by part, which are made faster than their costs."""
    return {stage: built.graphs for stage, built in _entered(model, options)}


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
    operators = stated.operators
    norms = shares(stated.forward, VECTOR_FLOPS, sp.Rational(FVCORE_NORM_FLOPS, per_element))
    return [
        *shares(stated.forward, MACS),
        *(norm for norm in norms if operators.get(norm.path) == "layer_norm"),
    ]


def weight_bytes(cost: Cost) -> list[Share]:
    """The bytes of each parameter."""
    return list(shares(cost, Storage(Kind.WEIGHT)))


def cache_bytes(cost: Cost) -> list[Share]:
    """The bytes of the cache after the stage."""
    return list(shares(cost, Storage(Kind.KV)))


@cache
def _around(path: str) -> Mapping[str, int]:
    """How many of the paths that one stands for lie in each module."""
    return Counter(module for single in expanded(path) for module in enclosing(single))


def by_module(given: Iterable[Share], evaluator: Evaluator) -> dict[str, Number]:
    """The totals of all modules at a point, by path; the whole is the path ""."""
    totals: dict[str, Number] = defaultdict(int)
    for share in given:
        amount = evaluator(share.amount)
        if amount:
            for module, times in _around(share.path).items():
                totals[module] += times * amount
    return totals


def formulas_by_module(given: Iterable[Share]) -> dict[str, Expr]:
    """The formulas of all modules by path; the whole is the path ""."""
    terms: dict[str, list[Expr]] = defaultdict(list)
    for share in given:
        for path in expanded(share.path):
            for module in enclosing(path):
                terms[module].append(share.amount)
    return {module: sp.Add(*amounts) for module, amounts in terms.items()}


def stated_by_page(model: str = "deepseek-ocr") -> dict[bool, dict[Stage, Stated]]:
    """What is stated with a page (True) and for text alone (False), by stage."""
    return {True: stated_stages(model), False: stated_stages(model, views=None)}


def digest(by_page: Mapping[bool, Mapping[Stage, Stated]]) -> str:
    """A fingerprint of everything that is compared: it changes with any formula.

    Stored evidence carries the fingerprint of the formulas that it speaks of.
    """
    lines = []
    for stages in by_page.values():
        for stage, stated in stages.items():
            for shown in (
                matrix_flops(stated.forward),
                matrix_flops(stated.backward),
                fvcore_count(stated),
                weight_bytes(stated.forward),
                cache_bytes(stated.forward),
            ):
                lines += [f"{stage} {share.path} {share.amount}" for share in shown]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
