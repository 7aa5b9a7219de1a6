"""What differs between two sides of formulas, symbolically and on a workload.

A side is a reference, an execution, a configuration or another version of the formulas. What lies
at the same module path is compared; layers that are more or fewer stand under another range.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TypeAlias

import sympy as sp

from symcost.cost import METRICS, Cost, Entry
from symcost.exact import Number, as_rational
from symcost.symbols import ZERO, Expr

WORK = ("matrix_flops", "vector_flops")
"""What operators do."""
COMPARED = (*WORK, "bytes_read", "bytes_written", "weight_bytes", "kv_bytes")
"""What is compared symbolically. Peaks of live activations are compared on a workload only."""
FIGURES = tuple(metric for metric in METRICS if metric != "gradient_bytes")
"""What is compared on a workload."""

_LAYERS = re.compile(r"(?<=\blayers\.)[\d,-]+")

Formulas: TypeAlias = Mapping[str, Expr]
"""Formulas by metric."""


@dataclass(frozen=True)
class Side:
    """The formulas of all stages, as they are compared.

    Parameters
    ----------
    parts : mapping of str to mapping of str to sympy.Expr
        The formulas of each part, by "STAGE / PART". The vision of a prefill is that of its stage.
    operators : mapping of str to mapping of str to mapping of str to sympy.Expr
        Those of each operator or weight, by part and module path.
    """

    parts: Mapping[str, Formulas]
    operators: Mapping[str, Mapping[str, Formulas]]


def place(stage: str, part: str) -> str:
    """The name of a part of a stage."""
    return f"{stage} / {part}"


def side_of(stages: Mapping[str, Cost]) -> Side:
    """The formulas of stages, such as `symbolic_stages` gives them."""
    operators = {where: _by_path(share.entries) for where, share in _parts(stages)}
    return Side(parts_of(stages), operators)


def parts_of(stages: Mapping[str, Cost]) -> dict[str, Formulas]:
    """The formulas of all parts of stages."""
    return {where: _formulas(share) for where, share in _parts(stages)}


def _parts(stages: Mapping[str, Cost]) -> Iterator[tuple[str, Cost]]:
    for stage, cost in stages.items():
        for part, share in cost.parts.items():
            if part not in stages:
                yield place(stage, part), share


def _formulas(cost: Cost) -> Formulas:
    return {metric: as_rational(cost.figure(metric)) for metric in COMPARED}


def _by_path(entries: Iterable[Entry]) -> Mapping[str, Formulas]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.path, []).append(entry)
    formulas = {path: _formulas(Cost(tuple(those))) for path, those in found.items()}
    # What only holds activations for a moment, or runs nowhere, is not compared.
    return {path: those for path, those in formulas.items() if any(those.values())}


class Kind(StrEnum):
    """What happened to an operator or a part."""

    APPEARS = "appears"
    DISAPPEARS = "disappears"
    CHANGED = "changed"


@dataclass(frozen=True)
class Change:
    """A formula that is not the same on both sides.

    Parameters
    ----------
    where : str
        The stage and part.
    path : str
        The module path; empty of a part.
    metric : str
        What is counted.
    kind : Kind
        Whether it is on both sides.
    before, after : sympy.Expr
        The formulas; zero where there is none.
    was : str
        The module path before, where it is another range of layers.
    """

    where: str
    path: str
    metric: str
    kind: Kind
    before: Expr
    after: Expr
    was: str = ""

    @property
    def difference(self) -> Expr:
        """What is added."""
        return sp.expand(self.after - self.before)

    @property
    def shown_path(self) -> str:
        """The module path with both ranges of layers, such as layers.1-11→1-23.mlp."""
        ranges = [
            found.group() for path in (self.was, self.path) for found in _LAYERS.finditer(path)
        ]
        return _LAYERS.sub("→".join(ranges), self.path) if self.was else self.path


def part_changes(
    before: Mapping[str, Formulas],
    after: Mapping[str, Formulas],
    metrics: Sequence[str] = COMPARED,
) -> list[Change]:
    """The parts whose formulas differ, by metric."""
    return [
        change
        for where in dict.fromkeys((*before, *after))
        for change in _changes(where, "", before.get(where), after.get(where), metrics)
    ]


def operator_changes(
    before: Mapping[str, Mapping[str, Formulas]],
    after: Mapping[str, Mapping[str, Formulas]],
    metrics: Sequence[str] = COMPARED,
) -> list[Change]:
    """The operators that appear, disappear or have other formulas, by metric.

    An operator whose layers are more or fewer on one side has changed, where no other stands under
    the same numbers.
    """
    found: list[Change] = []
    for where in dict.fromkeys((*before, *after)):
        old, new = before.get(where, {}), after.get(where, {})
        renamed = _renamed([p for p in old if p not in new], [p for p in new if p not in old])
        for path, formulas in old.items():
            other = renamed.get(path, path)
            was = path if other != path else ""
            found += _changes(where, other, formulas, new.get(other), metrics, was)
        known = {*old, *renamed.values()}
        for path, formulas in new.items():
            if path not in known:
                found += _changes(where, path, None, formulas, metrics)
    return found


def _renamed(old: Iterable[str], new: Iterable[str]) -> dict[str, str]:
    """What stands under other layer numbers, in the order of both sides."""
    left: dict[str, list[str]] = {}
    for path in new:
        left.setdefault(_LAYERS.sub("*", path), []).append(path)
    return {
        path: waiting.pop(0) for path in old if (waiting := left.get(_LAYERS.sub("*", path), []))
    }


def _changes(
    where: str,
    path: str,
    before: Formulas | None,
    after: Formulas | None,
    metrics: Sequence[str],
    was: str = "",
) -> list[Change]:
    kind = Kind.CHANGED
    if before is None or after is None:
        kind = Kind.APPEARS if before is None else Kind.DISAPPEARS
    pairs = {
        metric: ((before or {}).get(metric, ZERO), (after or {}).get(metric, ZERO))
        for metric in metrics
    }
    return [
        Change(where, path, metric, kind, old, new, was)
        for metric, (old, new) in pairs.items()
        if sp.expand(new - old) != 0
    ]


@dataclass(frozen=True)
class Effect:
    """A figure of a stage on both sides of a workload."""

    stage: str
    metric: str
    before: Number
    after: Number

    @property
    def difference(self) -> Number:
        """What is added."""
        return self.after - self.before

    @property
    def ratio(self) -> Number | None:
        """After by before; None where nothing was before."""
        if not self.before:
            return None
        found = Fraction(self.after) / self.before
        return found.numerator if found.denominator == 1 else found


def effects(
    before: Mapping[str, Mapping[str, Number]], after: Mapping[str, Mapping[str, Number]]
) -> list[Effect]:
    """The figures of stages on both sides, those that are the same included."""
    return [
        Effect(stage, metric, value, after[stage][metric])
        for stage, figures in before.items()
        if stage in after
        for metric, value in figures.items()
        if metric in after[stage]
    ]
