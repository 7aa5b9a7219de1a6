"""A sweep as a picture: lines over a grid, dots at scattered points, or bars where texts change."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from symcost.errors import InputError
from symcost.render import sweep_panels as panels
from symcost.render.pictures import STYLE, file_of
from symcost.render.sweep_panels import Amounts, groups_of
from symcost.render.sweep_roles import Name, names_of, of_dots, of_lines
from symcost.sweeps.block import MOST_KEPT, counted
from symcost.sweeps.files.description import library
from symcost.sweeps.plan import Plan
from symcost.sweeps.sweeping import Sweep

MOST_DRAWN = 200_000
"""Points of all panels together."""
MOST_PANELS = 24
"""Metrics of a picture."""

_STYLE = {**STYLE, "legend.handlelength": 2.6, "lines.markersize": 3.5}


def plot(result: Sweep) -> Any:
    """A matplotlib Figure with a panel for each metric.

    Over a grid, lines along the longest axis of numbers; where points are scattered or filtered,
    dots; where only texts change, bars.

    Parameters
    ----------
    result : Sweep
        A sweep whose points were kept.

    Raises
    ------
    InputError
        There are no points, too many, or more combinations than can be told apart; or the extra
        `sweep` is not installed.
    """
    with _style():
        return _plot(result)


def svg(result: Sweep) -> str:
    """The picture as SVG: the same text whenever it is drawn."""
    return picture(result, ".svg").decode()


def picture(result: Sweep, suffix: str) -> bytes:
    """The picture as a file holds it whose name ends in `.svg` or `.png`."""
    return file_of(lambda: _plot(result), suffix, _style)


@contextmanager
def _style() -> Iterator[None]:
    """Settings of matplotlib, whatever the user's own are."""
    with library("matplotlib.style").context(["default", _STYLE]):
        yield


def require_drawable(plan: Plan) -> None:
    """Refuse a picture before the sweep is done, as far as its plan tells.

    How many points filters leave is known afterwards only.

    Raises
    ------
    InputError
        As for `plot`; or the sweep is too large for its points to be kept until they are filtered.
    """
    library("matplotlib.style")
    points, metrics = plan.points.size, len(plan.metrics)
    _refuse_many_metrics(metrics)
    if not plan.where:
        _refuse_many_points(points, metrics)
        _drawing(Sweep(plan))
    elif points * metrics * 8 > MOST_KEPT:
        raise InputError(
            f"a plot has no room for {counted(points, metrics)}, before filters; take longer steps "
            "along the axes, or fewer metrics"
        )


def _plot(result: Sweep) -> Any:
    if not result.columns:
        raise InputError("a plot needs the points, which were written or reduced; keep them")
    points = len(next(iter(result.columns.values())))
    if not points:
        raise InputError("there is nothing to plot: no point holds the conditions")
    _refuse_many_metrics(len(result.columns))
    _refuse_many_points(points, len(result.columns))
    draw, same, hidden = _drawing(result)
    figure = draw(result.columns)
    told = _told(result, same, hidden)
    characters = int(figure.get_figwidth() * 13)
    figure.suptitle(textwrap.fill(told, characters), x=0.01, ha="left", size=9, color="#444444")
    return figure


def _drawing(result: Sweep) -> tuple[Callable[[Amounts], Any], list[Name], list[Name]]:
    """What draws the amounts at the points, and names that are the same everywhere or hidden."""
    names = names_of(result)
    same = [name for name in names if len(name) == 1]
    varying = [name for name in names if len(name) > 1]
    numbers = [name for name in varying if name.numeric]
    points = result.plan.points
    if not numbers:
        left = points.size if result.indices is None else len(result.indices)
        return partial(panels.bars, groups=groups_of(varying, left)), same, []
    x = max(numbers, key=len)
    others = [name for name in varying if name is not x]
    each = all(len(axis.names) == 1 for axis in points.axes)
    if result.indices is None and each and math.prod(map(len, varying)) == points.size:
        return partial(panels.lines, roles=of_lines(x, others)), same, []
    roles = of_dots(x, others)
    hidden = [name for name in others if name not in roles.series]
    return partial(panels.dots, roles=roles), same, hidden


def _refuse_many_metrics(metrics: int) -> None:
    if metrics > MOST_PANELS:
        raise InputError(f"a plot has no room for {metrics} metrics; allowed: {MOST_PANELS}")


def _refuse_many_points(points: int, metrics: int) -> None:
    if points * metrics > MOST_DRAWN:
        raise InputError(
            f"a plot has no room for {counted(points, metrics)}; allowed: {MOST_DRAWN} "
            "together: take longer steps along the axes, or fewer metrics"
        )


def _told(result: Sweep, same: Sequence[Name], hidden: Sequence[Name]) -> str:
    """What is the same at all points, and what the picture leaves out."""
    points = result.plan.points
    fixed = {**points.fixed, **{name.name: name.texts[0] for name in same}}
    told = [f"{name} {value}" for name, value in fixed.items()]
    told += [] if points.image else ["no image"]
    told += [f"where {condition}" for condition in result.plan.where]
    told += [f"{name.name} varies unseen" for name in hidden]
    return ", ".join(told)
