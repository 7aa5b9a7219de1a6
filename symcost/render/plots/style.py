"""How plots look."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from symcost import extras
from symcost.render.pictures import COLOURS, STYLE
from symcost.render.plots.asked import ATTENTION, EXPERTS, REST

library = partial(extras.library, extra="plot")
"""A module of the extra `plot`."""

FAINT = "#555555"
"""The colour of what stands beside the data."""

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK = COLOURS

PARTS: Mapping[str, tuple[str, str]] = {
    "sam": (BLUE, ""),
    "clip": (SKY, "///"),
    "projector": (BLACK, ""),
    ATTENTION: (VERMILION, ""),
    EXPERTS: (GREEN, "|||"),
    REST: (ORANGE, "\\\\\\"),
    "lm_head": (PURPLE, ""),
}
"""The colour and the hatch of each part."""

STAGES: Mapping[str, Mapping[str, Any]] = {
    "vision": {"color": GREEN, "marker": "^", "linestyle": (0, (1, 1.2))},
    "prefill": {"color": BLUE, "marker": "o", "linestyle": "-"},
    "decode": {"color": VERMILION, "marker": "s", "linestyle": (0, (4, 1.5))},
}
"""The line of each stage."""

_STYLE = {**STYLE, "hatch.linewidth": 0.6, "lines.markersize": 4}
_LETTER = 0.068
"""Inches of a letter of what runs."""


@contextmanager
def styled() -> Iterator[None]:
    """Settings of matplotlib, whatever the user's own are."""
    with library("matplotlib.style").context(["default", _STYLE]):
        yield


def figure_of(title: str, what_runs: str, width: float, height: float) -> Any:
    """An empty figure of so many inches below its title and what runs."""
    told = textwrap.fill(what_runs, int((width - 0.2) / _LETTER))
    above = 0.55 + 0.16 * told.count("\n")
    figure = library("matplotlib.figure").Figure(
        figsize=(width, height + above), layout="constrained"
    )
    figure.get_layout_engine().set(rect=(0, 0, 1, height / (height + above)))
    top = height + above
    figure.text(0.1 / width, 1 - 0.08 / top, title, va="top", size=12, weight="bold")
    figure.text(0.1 / width, 1 - 0.32 / top, told, va="top", size=8.5, color=FAINT)
    return figure


def patch(colour: str, hatch: str = "") -> Any:
    """An entry of a legend for areas and bars."""
    return library("matplotlib.patches").Patch(facecolor=colour, hatch=hatch, edgecolor="white")
