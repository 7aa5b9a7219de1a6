"""One run of the real model against the formulas, at every module path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, cached_property
from typing import Any

from symcost.exact import Evaluator, Number
from symcost.graph import Graph
from symcost.models.deepseek_ocr.geometry import SYMBOLIC
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import Workload
from symcost.paths import expanded
from symcost.stages import Stage
from symcost.symbols import B
from symcost.verify.blind_spots import Counter, undeclared
from symcost.verify.counters import Count
from symcost.verify.quantities import Quantity
from symcost.verify.stated import (
    Share,
    Stated,
    by_module,
    cache_bytes,
    fvcore_count,
    matrix_flops,
    stage_graphs,
    stated_stages,
    weight_bytes,
)

COUNTERS = {
    Quantity.FORWARD: Counter.TORCH,
    Quantity.BACKWARD: Counter.TORCH,
    Quantity.FVCORE: Counter.FVCORE,
    Quantity.STATIC: Counter.FVCORE,
    Quantity.HEAD_ON_LAST: Counter.TORCH,
}
"""Who counts work; what is held is read off the real parameters and the real cache."""


class Formulas:
    """What is stated, by quantity, stage and whether there is a page."""

    def __init__(self, model: str = "deepseek-ocr") -> None:
        self._model = model
        self.shares = cache(self._shares)
        self.stated = cache(self._stated)

    def _stated(self, has_page: bool) -> Mapping[Stage, Stated]:
        return stated_stages(self._model, **_views(has_page))

    def graphs(self, has_page: bool) -> Mapping[Stage, Mapping[str, Graph]]:
        """The graphs of every stage."""
        return stage_graphs(self._model, **_views(has_page))

    def _shares(self, quantity: Quantity, stage: Stage, has_page: bool) -> list[Share]:
        def stated() -> Stated:
            return self.stated(has_page)[stage]

        def with_last_head() -> Stated:
            return stated_stages(self._model, lm_head="last", **_views(has_page))[stage]

        def parameters() -> list[Share]:
            held = weight_bytes(stated().forward)
            return [Share(share.path, share.amount / Widths().weights) for share in held]

        make: dict[Quantity, Callable[[], list[Share]]] = {
            Quantity.FORWARD: lambda: matrix_flops(stated().forward),
            Quantity.BACKWARD: lambda: matrix_flops(stated().backward),
            Quantity.HEAD_ON_LAST: lambda: matrix_flops(with_last_head().forward),
            Quantity.FVCORE: lambda: fvcore_count(stated()),
            Quantity.STATIC: lambda: fvcore_count(stated()),
            Quantity.PARAMETERS: parameters,
            Quantity.WEIGHT_BYTES: lambda: weight_bytes(stated().forward),
            Quantity.CACHE_BYTES: lambda: cache_bytes(stated().forward),
            Quantity.IMAGE_TOKENS: lambda: [Share("", B * SYMBOLIC.image_tokens)],
        }
        return make[quantity]()


def _views(has_page: bool) -> dict[str, Any]:
    return {} if has_page else {"views": None}


@dataclass(frozen=True, eq=False)
class Observation:
    """What a run of the real model showed.

    Parameters
    ----------
    quantity : Quantity
        What was counted.
    stage : Stage
        The stage that ran.
    workload : Workload
        The sizes.
    count : Count
        The numbers by module.
    modules : tuple of str
        The paths that are compared.
    within : str
        The module that ran, where it was not the whole model.
    """

    quantity: Quantity
    stage: Stage
    workload: Workload
    count: Count
    modules: tuple[str, ...]
    within: str = ""

    @property
    def key(self) -> tuple[Quantity, Stage, bool]:
        """What is stated for it: by quantity, stage and whether there is a page."""
        return self.quantity, self.stage, self.workload.views is not None

    @cached_property
    def evaluator(self) -> Evaluator:
        """Evaluates formulas at the sizes."""
        return Evaluator(self.workload.bindings)


@dataclass(frozen=True)
class Difference:
    """A module for which the formulas and the real code do not agree."""

    path: str
    quantity: Quantity
    stage: Stage
    workload: Workload
    predicted: Number
    counted: int
    predicted_operators: Mapping[str, Number] = field(default_factory=dict)
    counted_operators: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.path or 'the whole model'}: {self.quantity} of {self.stage}: predicted "
            f"{digits(self.predicted)}{_listed(self.predicted_operators)}, counted "
            f"{digits(self.counted)}{_listed(self.counted_operators)}, difference "
            f"{digits(self.predicted - self.counted)} ({sizes_of(self.workload)})"
        )


def digits(number: Number) -> str:
    """A number with its digits in groups of three; a fraction as it is."""
    return str(number) if isinstance(number, Fraction) else f"{number:,}"


def sizes_of(workload: Workload) -> str:
    """The sizes of a workload in words."""
    sizes = workload.as_dict()
    shown = ["batch", "context_len", "cached"]
    if workload.views is not None:
        shown += ["base_size", "tile_size", "crop_grid"]
    return ", ".join(f"{name} {sizes[name]}" for name in shown)


def _listed(operators: Mapping[str, Number]) -> str:
    named = ", ".join(f"{name} {digits(count)}" for name, count in operators.items() if name)
    return f" ({named})" if named else ""


def disagreeing(observation: Observation, totals: Mapping[str, Number]) -> list[str]:
    """The modules for which totals are not what was counted."""
    count = observation.count
    return [path for path in observation.modules if totals.get(path, 0) != count.of(path)]


def differences(
    observation: Observation, given: list[Share], operators: Mapping[str, str]
) -> list[Difference]:
    """The modules that do not agree, innermost ones only, with the operators in them.

    Parameters
    ----------
    given : list of Share
        What is stated for the quantity and stage.
    operators : mapping of str to str
        The rule that runs at each path.
    """
    totals = by_module(given, observation.evaluator)
    wrong = disagreeing(observation, totals)
    return [
        Difference(
            path,
            observation.quantity,
            observation.stage,
            observation.workload,
            totals.get(path, 0),
            observation.count.of(path),
            dict(_rules(path, given, totals, operators)),
            observation.count.by_module.get(path, {}),
        )
        for path in wrong
        if not any(other.startswith(f"{path}." if path else "") for other in wrong if other != path)
    ]


def _rules(
    module: str,
    given: list[Share],
    totals: Mapping[str, Number],
    operators: Mapping[str, str],
) -> Iterator[tuple[str, Number]]:
    for share in given:
        for path in expanded(share.path):
            if path == module or path.startswith(f"{module}." if module else ""):
                name = path.removeprefix(module).removeprefix(".")
                rule = operators.get(share.path, "")
                yield f"{rule} {name}".strip(), totals.get(path, 0)


def silent(observation: Observation) -> list[str]:
    """What the counter passed over without leave, in words."""
    counter = COUNTERS.get(observation.quantity)
    if counter is None:
        return []
    return [str(gap) for gap in undeclared(counter, observation.count)]
