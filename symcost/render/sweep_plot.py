"""A sweep as a picture: lines over a grid, dots at scattered points, or bars where texts change."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from symcost.errors import InputError
from symcost.render import sweep_panels as panels
from symcost.render.sweep_roles import Name, names_of, of_dots, of_lines
from symcost.sweeps.files.description import library
from symcost.sweeps.sweeping import Sweep

MOST_DRAWN = 200_000
"""Points of all panels together."""
MOST_PANELS = 24
"""Metrics of a picture."""
SUFFIXES = (".svg", ".png")
"""What names of pictures end in."""

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#666666",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "font.size": 9,
    "grid.color": "#E2E2E2",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "lines.markersize": 3.5,
    "svg.fonttype": "path",  # letters look the same where the font is missing
    "svg.hashsalt": "symcost",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
}
_PIXELS = 200
"""Dots per inch of a PNG."""


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
    if suffix not in SUFFIXES:
        raise InputError(f"a plot is to end in {suffix!r}; allowed: {', '.join(SUFFIXES)}")
    about = {".svg": {"Date": None, "Creator": "symcost"}, ".png": {"Software": "symcost"}}
    contents = io.BytesIO()
    with _style():
        figure = _plot(result)
        figure.savefig(contents, format=suffix[1:], dpi=_PIXELS, metadata=about[suffix])
    return contents.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    """Settings of matplotlib, whatever the user's own are."""
    with library("matplotlib.style").context(["default", _STYLE]):
        yield


def _plot(result: Sweep) -> Any:
    _refuse_undrawable(result)
    names = names_of(result)
    varying = [name for name in names if len(name) > 1]
    numbers = [name for name in varying if name.numeric]
    hidden: Sequence[Name] = ()
    if not numbers:
        figure = panels.bars(result.columns, varying)
    else:
        x = max(numbers, key=len)
        others = [name for name in varying if name is not x]
        if result.indices is None and all(len(axis.names) == 1 for axis in result.plan.points.axes):
            figure = panels.lines(result.columns, of_lines(x, others))
        else:
            roles = of_dots(x, others)
            hidden = [name for name in others if name not in roles.series]
            figure = panels.dots(result.columns, roles)
    told = _told(result, [name for name in names if len(name) == 1], hidden)
    characters = int(figure.get_figwidth() * 13)
    figure.suptitle(textwrap.fill(told, characters), x=0.01, ha="left", size=9, color="#444444")
    return figure


def _refuse_undrawable(result: Sweep) -> None:
    metrics = len(result.columns)
    if not metrics:
        raise InputError("a plot needs the points, which were written or reduced; keep them")
    if metrics > MOST_PANELS:
        raise InputError(f"a plot has no room for {metrics} metrics; allowed: {MOST_PANELS}")
    points = len(next(iter(result.columns.values())))
    if not points:
        raise InputError("there is nothing to plot: no point holds the conditions")
    if points * metrics > MOST_DRAWN:
        raise InputError(
            f"a plot has no room for {points} points of {metrics} metrics; allowed: {MOST_DRAWN} "
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
