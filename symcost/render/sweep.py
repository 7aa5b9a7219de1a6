"""What came out of a sweep, as people read it and as an object of JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from symcost.exact import simplest
from symcost.render.figures import sign_of
from symcost.render.sections import Section
from symcost.render.verification import digits
from symcost.rounded import human
from symcost.sweeps.reductions.histogram import Bins
from symcost.sweeps.reductions.selections import Found
from symcost.sweeps.sweeping import Sweep

SHOWN = 20
"""Rows of a reduction that a table shows; JSON has all of them."""


def sweep_object(result: Sweep) -> dict[str, Any]:
    """A sweep as JSON shows it: its axes, and what its points were reduced to."""
    plan = result.plan
    return {
        "axes": {
            axis.name: {"values": len(axis), "first": _setting(axis, 0), "last": _setting(axis, -1)}
            for axis in plan.points.axes
        },
        "fixed": dict(plan.points.fixed),
        "where": [str(condition) for condition in plan.where],
        "points": plan.points.size,
        "metrics": list(plan.metrics),
        "relative_error": plan.relative_error if plan.rounded else 0,
        "reductions": {text: _plain(found, result) for text, found in result.reduced.items()},
    }


def _setting(axis: Any, at: int) -> dict[str, Any]:
    position = np.array([at])
    return {name: column.at(position).item() for name, column in axis.columns.items()}


def _plain(found: Any, result: Sweep) -> Any:
    """What a reduction found, in numbers, texts, lists and objects."""
    if isinstance(found, Found):
        places = result.plan.points.coordinates(found.indices)
        columns = {name: values.tolist() for name, values in {**places, **found.columns}.items()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if isinstance(found, Bins):
        return {"edges": [_number(edge) for edge in found.edges], "counts": list(found.counts)}
    if isinstance(found, Mapping):
        return {str(at): _number(value) for at, value in found.items()}
    return found


def _number(value: Any) -> Any:
    return str(value) if isinstance(value, Fraction) and value.denominator != 1 else simplest(value)


def sweep_sections(found: Mapping[str, Any]) -> Iterator[Section]:
    """What points were reduced to, table by table."""
    extremes = {
        metric: [found["reductions"].get(f"{end}:{metric}") for end in ("min", "max")]
        for metric in found["metrics"]
    }
    both = {metric: ends for metric, ends in extremes.items() if all(ends)}
    if both:
        yield Section(
            "Least and greatest",
            ("metric", "least", "at", "greatest", "at"),
            [
                (metric, *(cell for end in ends for cell in _extreme(metric, end)))
                for metric, ends in both.items()
            ],
            words=1,
        )
    told = {f"{end}:{metric}" for metric in both for end in ("min", "max")}
    for text, value in found["reductions"].items():
        if text not in told:
            yield _section(text, value)


def _extreme(metric: str, points: Any) -> tuple[str, str]:
    (point,) = points
    return _shown(metric, point[metric]), _place(point)


def _place(point: Mapping[str, Any]) -> str:
    """What axes set at a point."""
    return ", ".join(f"{name}={value}" for name, value in point.items() if "." not in name)


def _shown(metric: str, value: Any) -> str:
    return human(value, sign_of(metric))


def _section(text: str, found: Any) -> Section:
    metric = text.partition(":")[2].partition(":")[0]
    if isinstance(found, list):
        names = tuple(found[0]) if found else ("points",)
        rows = [
            tuple(_shown(n, v) if "." in n else str(v) for n, v in point.items())
            for point in found[:SHOWN]
        ]
        more = f" (the first {SHOWN} of {digits(len(found))})" if len(found) > SHOWN else ""
        return Section(text + more, names, rows or [("none",)], sum("." not in n for n in names))
    if isinstance(found, dict) and "edges" in found:
        ends = [_shown(metric, Fraction(edge)) for edge in found["edges"]]
        rows = [
            (low, high, digits(count))
            for low, high, count in zip(ends, ends[1:], found["counts"], strict=False)
        ]
        return Section(text, ("from", "to", "points"), rows, 0)
    if isinstance(found, dict):
        return Section(
            text, ("quantile", metric), [(at, _shown(metric, v)) for at, v in found.items()], 0
        )
    return Section(text, ("points",), [(digits(found),)], 0)


def sweep_summary(found: Mapping[str, Any]) -> Iterator[str]:
    """What was swept, in a few sentences."""
    axes = " × ".join(f"{digits(axis['values'])} {name}" for name, axis in found["axes"].items())
    kept = f" where {' and '.join(found['where'])}" if found["where"] else ""
    metrics = len(found["metrics"])
    each = f"{metrics} metric{'s' * (metrics > 1)} each"
    points = f"{digits(found['points'])} point{'s' * (found['points'] > 1)}"
    yield f"{points} ({axes}){kept}, {each}"
    if found["relative_error"]:
        yield f"rounded to float64, relative error at most {found['relative_error']:.1e}"
