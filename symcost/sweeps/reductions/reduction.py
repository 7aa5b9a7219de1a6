"""What a sweep can be reduced to without keeping its points, and how that is asked for in text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from symcost.errors import InputError
from symcost.exact import rational
from symcost.sweeps.block import Block
from symcost.sweeps.reductions.histogram import Histogram
from symcost.sweeps.reductions.quantiles import Quantiles
from symcost.sweeps.reductions.selections import Best, First, Pareto

MOST = 1_000_000
"""Bins of a histogram and points of a choice, so that memory stays small."""


class Reduction(Protocol):
    """A pass over all points of a sweep, and what comes behind it.

    Every block gives a partial result, of which two neighbouring ones can be merged in any
    grouping. Blocks may be of no points; columns are of int64, or of float64 without NaN.
    Reductions and partial results can be pickled.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """The metrics that it needs."""

    def partial(self, block: Block) -> Any:
        """The partial result of one block."""

    def merge(self, first: Any, second: Any) -> Any:
        """The partial result of both, where the points of `first` lie before those of `second`."""

    def settled(self, merged: Any) -> bool:
        """Whether no point behind those that are merged can change the result."""

    def refined(self, merged: Any) -> Reduction | None:
        """What another pass over all points has to do; None where this was the last."""

    def result(self, merged: Any) -> Any:
        """The result after the last pass."""


@dataclass(frozen=True)
class Count:
    """How many points there are, such as those that pass a filter."""

    columns: ClassVar[tuple[()]] = ()

    def partial(self, block: Block) -> int:
        """Points of one block."""
        return block.size

    def merge(self, first: int, second: int) -> int:
        """Points of both."""
        return first + second

    def settled(self, merged: int) -> bool:  # noqa: ARG002
        """All points count."""
        return False

    def refined(self, merged: int) -> None:  # noqa: ARG002
        """One pass is enough."""
        return

    def result(self, merged: int) -> int:
        """How many there are."""
        return merged


def _quantiles(metric: str, fractions: str) -> Reduction:
    read = tuple(map(rational, fractions.split(",")))
    if not all(0 <= fraction <= 1 for fraction in read):
        raise ValueError(fractions)
    return Quantiles(metric, read)


def _pareto(first_sign: str, first: str, second_sign: str, second: str) -> Reduction:
    if first == second:
        raise ValueError(first)
    return Pareto((first, second), (first_sign == "-", second_sign == "-"))


def _count(text: str) -> int:
    if not 1 <= int(text) <= MOST:
        raise ValueError(text)
    return int(text)


_METRIC = r"([A-Za-z_][\w.]*)"
_NUMBER = r"(\d{1,9})"

_FORMS: dict[str, tuple[str, str, Callable[..., Reduction]]] = {
    "min": ("min:METRIC", f"min:{_METRIC}", Best),
    "max": ("max:METRIC", f"max:{_METRIC}", lambda metric: Best(metric, largest=True)),
    "quantiles": (
        "quantiles:METRIC:Q,… with each Q from 0 to 1, such as 0.5,0.9",
        f"quantiles:{_METRIC}:(.+)",
        _quantiles,
    ),
    "histogram": (
        f"histogram:METRIC[:BINS] with BINS from 1 to {MOST}",
        f"histogram:{_METRIC}(?::{_NUMBER})?",
        lambda metric, bins: Histogram(metric, _count(bins or "20")),
    ),
    "top": (
        f"top:METRIC:K with K from 1 to {MOST}",
        f"top:{_METRIC}:{_NUMBER}",
        lambda metric, count: Best(metric, _count(count), largest=True),
    ),
    "bottom": (
        f"bottom:METRIC:K with K from 1 to {MOST}",
        f"bottom:{_METRIC}:{_NUMBER}",
        lambda metric, count: Best(metric, _count(count)),
    ),
    "pareto": (
        "pareto:METRIC,METRIC of two metrics, with a - before each that is to be large",
        f"pareto:(-?){_METRIC},(-?){_METRIC}",
        _pareto,
    ),
    "first": ("first", "first", First),
    "count": ("count", "count", Count),
}
"""By name: what is allowed, its pattern, and what takes the pattern's groups."""


def parse_reduction(text: str) -> Reduction:
    """A reduction as it is named on the command line.

    Raises
    ------
    InputError
        It is none.
    """
    name = text.partition(":")[0]
    if name not in _FORMS:
        forms = ", ".join(form.partition(" ")[0] for form, _, _ in _FORMS.values())
        raise InputError(f"reduction is {text!r}; allowed: {forms}")
    form, pattern, build = _FORMS[name]
    found = re.fullmatch(pattern, text, re.ASCII)
    try:
        if found:
            return build(*found.groups())
    except ValueError:
        pass  # a number out of its range is refused like what is no number
    raise InputError(f"reduction is {text!r}; allowed: {form}")
