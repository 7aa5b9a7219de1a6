"""What differs between two sides of formulas: as an object and as tables; stored formulas, read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import sympy as sp

from symcost import formulas
from symcost.errors import DomainError, InputError, UnboundSymbolError
from symcost.exact import Bindings, Evaluator, Number, decimal_text
from symcost.export.json_tree import decode
from symcost.figures import exact
from symcost.insight.changes import (
    COMPARED,
    FIGURES,
    WORK,
    Change,
    Effect,
    Formulas,
    Kind,
    Side,
    place,
)
from symcost.render.figures import sign_of
from symcost.render.sections import Section
from symcost.render.sensitivity import signed
from symcost.symbols import Expr

_TRAFFIC = ("bytes_read", "bytes_written")
_HELD = ("weight_bytes", "kv_bytes")
_TITLES = {WORK: "work", _TRAFFIC: "traffic", _HELD: "weights and cache"}
_MOST_NAMES = 6
"""Operators of a module that a table names."""


@dataclass(frozen=True)
class StoredStage:
    """A stage of a file of formulas: figures of the whole, and formulas of its parts."""

    figures: Formulas
    parts: Mapping[str, Formulas]


@dataclass(frozen=True)
class StoredFormulas:
    """A file of formulas that `symcost generate` has written, maybe another version of it."""

    path: Path
    model: str
    reference: str
    executions: Mapping[str, Mapping[str, StoredStage]]
    modules: Mapping[str, Mapping[str, Formulas]]

    @classmethod
    def read(cls, path: Path) -> StoredFormulas:
        """Read a file such as generated/deepseek_ocr/formulas_vendor.json.

        Raises
        ------
        InputError
            It cannot be read, or is something else.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                path,
                str(found["model"]),
                str(found["reference"]),
                {
                    execution: {stage: _stage(cost) for stage, cost in stages.items()}
                    for execution, stages in found["executions"].items()
                },
                {
                    stage: {name: _work(work) for name, work in paths.items()}
                    for stage, paths in found["modules"].items()
                },
            )
        except KeyError as error:
            raise InputError(f"{path} is no file of formulas: {error} is missing") from None
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{path} is no file of formulas: {error}") from None

    def stages(self, execution: str) -> Mapping[str, StoredStage]:
        """The stages under an execution."""
        if execution not in self.executions:
            raise InputError(
                f"execution is {execution!r}; {self.path} has {', '.join(self.executions)}"
            )
        return self.executions[execution]

    def side(self, execution: str, other: Side) -> Side:
        """The formulas as they are compared with another side; of operators, their work.

        A file tells the stage of an operator, not its part: that is the other side's, where it has
        the operator.
        """
        parts = {
            place(stage, part): formulas
            for stage, found in self.stages(execution).items()
            for part, formulas in found.parts.items()
            if part not in self.modules
        }
        operators: dict[str, dict[str, Formulas]] = {}
        vision = self.modules.get("vision", {})
        for stage, paths in self.modules.items():
            known = {
                path: where
                for where, those in other.operators.items()
                if where.startswith(place(stage, ""))
                for path in those
            }
            for path, work in paths.items():
                if stage == "vision" or path not in vision:
                    operators.setdefault(known.get(path, stage), {})[path] = work
        return Side(parts, operators)

    def figures(
        self, execution: str, points: Mapping[str, Bindings]
    ) -> dict[str, dict[str, Number]]:
        """The figures of the stages at a point each."""
        found: dict[str, dict[str, Number]] = {}
        for stage, stored in self.stages(execution).items():
            value = Evaluator(points.get(stage, {}))
            try:
                found[stage] = {m: value(formula) for m, formula in stored.figures.items()}
            except (DomainError, UnboundSymbolError) as error:
                raise InputError(f"{self.path}, {stage}: {error}") from None
        return found


def _stage(cost: Any) -> StoredStage:
    parts = {
        name: {metric: decode(part[metric]) for metric in COMPARED}
        for name, part in cost["parts"].items()
    }
    return StoredStage({m: decode(cost[m]) for m in FIGURES if m in cost}, parts)


def _work(work: Any) -> Formulas:
    return {
        "matrix_flops": 2 * decode(work["macs"]),
        "vector_flops": decode(work["vector_flops"]),
    }


@dataclass(frozen=True)
class Difference:
    """What two sides differ in.

    Parameters
    ----------
    model : str
        The model.
    changed : mapping of str to tuple of str
        What is before and after, by name.
    parts, operators : sequence of Change
        Formulas that differ.
    effects : sequence of Effect
        Figures of a workload.
    workload : mapping
        Its sizes, before and after.
    """

    model: str
    changed: Mapping[str, tuple[str, str]]
    parts: Sequence[Change]
    operators: Sequence[Change]
    effects: Sequence[Effect]
    workload: tuple[Mapping[str, Any], Mapping[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """It as JSON shows it; all numbers are exact."""
        return {
            "model": self.model,
            "changed": {name: list(both) for name, both in self.changed.items()},
            "parts": [_change(change) for change in self.parts],
            "operators": [_change(change) for change in self.operators],
            "workload": {"before": dict(self.workload[0]), "after": dict(self.workload[1])},
            "effect": [
                {
                    "stage": effect.stage,
                    "metric": effect.metric,
                    "before": exact(effect.before),
                    "after": exact(effect.after),
                    "difference": exact(effect.difference),
                    "ratio": None if effect.ratio is None else exact(effect.ratio),
                }
                for effect in self.effects
            ],
        }

    def sections(self, show: Callable[[Expr], str] = formulas.text) -> Iterator[Section]:
        """Tables: parts, operators by what is counted, and the effect on the workload."""
        if self.parts:
            yield Section(
                "parts: what is added",
                ("part", "metric", "difference"),
                [(c.where, c.metric, show(c.difference)) for c in self.parts],
                3,
            )
        for metrics, title in _TITLES.items():
            for where in dict.fromkeys(change.where for change in self.operators):
                chosen = [c for c in self.operators if c.where == where and c.metric in metrics]
                if chosen:
                    yield _modules(f"{where}: {title}", chosen, show)
        differing = [effect for effect in self.effects if effect.difference]
        if differing:
            yield Section(
                "effect on the workload",
                ("stage", "metric", "before", "after", "difference", "ratio"),
                [_effect(effect) for effect in differing],
                2,
            )

    def notes(self) -> Iterator[str]:
        """What stands behind the tables, a line each."""
        told = ", ".join(f"{name} {old} → {new}" for name, (old, new) in self.changed.items())
        yield f"{self.model}: {told or 'nothing is changed'}"
        if self.operators:
            counts = [
                f"{len({(c.where, c.path) for c in self.operators if c.kind is kind})} {verb}"
                for kind, verb in _VERBS.items()
            ]
            yield f"operators and weights: {', '.join(counts)}"
        elif not self.parts:
            yield "no formula differs"
        same = [effect for effect in self.effects if not effect.difference]
        if same and len(same) == len(self.effects):
            yield "no figure of the workload differs"


_VERBS = {Kind.APPEARS: "appear", Kind.DISAPPEARS: "disappear", Kind.CHANGED: "change"}


def _change(change: Change) -> dict[str, Any]:
    return {
        "where": change.where,
        "path": change.path or None,
        "was": change.was or None,
        "metric": change.metric,
        "kind": change.kind.value,
        "before": formulas.text(change.before),
        "after": formulas.text(change.after),
        "difference": formulas.text(change.difference),
    }


def _effect(effect: Effect) -> tuple[str, ...]:
    sign = sign_of(effect.metric)
    return (
        effect.stage,
        effect.metric,
        signed(effect.before, sign),
        signed(effect.after, sign),
        f"{'+' * (effect.difference > 0)}{signed(effect.difference, sign)}",
        "" if effect.ratio is None else _ratio(effect),
    )


def _ratio(effect: Effect) -> str:
    told = decimal_text(effect.ratio or 0, 6)
    return "≈ 1" if told == "1" and effect.difference else told


def _modules(title: str, changes: Sequence[Change], show: Callable[[Expr], str]) -> Section:
    """Changes summed by module, under the path that all of them have in common."""
    root = _root([change.shown_path for change in changes])
    grouped: dict[tuple[str, str, Kind], list[Change]] = {}
    for change in changes:
        module = change.shown_path.rpartition(".")[0][len(root) :].lstrip(".")
        grouped.setdefault((module, change.metric, change.kind), []).append(change)
    rows = []
    for (module, metric, kind), those in grouped.items():
        names = f"{module}: {_names(those)}" if module else _names(those)
        rows.append((names, metric, _told(kind, those, show)))
    columns = ("module: operators", "metric", "change")
    return Section(f"{title}, in {root}" if root else title, columns, rows, 3)


def _root(paths: Sequence[str]) -> str:
    """The module that all operators lie in."""
    levels = zip(*(path.split(".")[:-1] for path in paths), strict=False)
    return ".".join(level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels))


def _names(changes: Sequence[Change]) -> str:
    names = [change.path.rpartition(".")[2] for change in changes]
    more = len(names) - _MOST_NAMES
    shown = ", ".join(names[:_MOST_NAMES])
    return f"{shown} and {more} more" if more > 0 else shown


def _told(kind: Kind, changes: Sequence[Change], show: Callable[[Expr], str]) -> str:
    """The sums of formulas of one module, before and after."""
    before, after = (sp.Add(*(c.before for c in changes)), sp.Add(*(c.after for c in changes)))
    if kind is Kind.APPEARS:
        return f"appears: {show(after)}"
    if kind is Kind.DISAPPEARS:
        return f"disappears: {show(before)}"
    told = f"{show(before)} → {show(after)}"
    difference = sp.expand(after - before)
    return f"{told}; difference {show(difference)}" if before != 0 and after != 0 else told
