"""The roofline of a device, and where the stages and their parts are below it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from symcost.exact import decimal_text
from symcost.insight.devices import DEFAULT_TYPE, Device
from symcost.insight.latency import Line, Rooflines
from symcost.render.plots.asked import Asked, drawable
from symcost.render.plots.style import FAINT, STAGES, figure_of, library
from symcost.rounded import duration, human

_WIDTH, _HEIGHT, _ASPECT = 9.0, 5.15, 0.6
_LEVEL = 0.042
"""The share of the panel's height that a label takes."""
_BESIDE, _BEHIND, _ABOVE = 0.5, 1.6, 0.35
"""Decades left and right of all points, and above the roof."""


def roofline(asked: Asked, device: Device) -> Any:
    """FLOPs per second that a device attains at best, over FLOPs per byte."""
    latency = Rooflines(asked.subject("batch", None)).at(device, asked.workload.batch)
    lines = sorted(filter(_shown, latency.lines), key=lambda line: line.intensity)
    bandwidth, peak = drawable(device.memory_bandwidth), drawable(device.peak())
    ridge = drawable(device.ridge())
    points = [(drawable(line.intensity), _attained(line)) for line in lines]
    left = min([ridge, *(x for x, _ in points)]) / 10**_BESIDE
    right = max([ridge, *(x for x, _ in points)]) * 10**_BEHIND
    top = math.log10(max(peak, *(y for _, y in points))) + _ABOVE
    decades = _decades(points, top)

    figure = figure_of(
        f"Roofline of {device.name}: what limits the stages and their parts at best",
        asked.title,
        _WIDTH,
        _HEIGHT,
    )
    panel = figure.add_subplot()
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlim(left, right)
    panel.set_ylim(10 ** (top - decades), 10**top)
    panel.set_box_aspect(_ASPECT)
    panel.plot([left, ridge, right], [left * bandwidth, peak, peak], color="black", linewidth=1.6)
    panel.plot([ridge, ridge], [10 ** (top - decades), peak], color=FAINT, ls=":", linewidth=0.9)
    panel.annotate(
        f"ridge: {decimal_text(device.ridge())} FLOPs/byte",
        (ridge, peak),
        (0, 5),
        textcoords="offset points",
        ha="right",
        color=FAINT,
        size=8,
    )
    panel.annotate(
        f"matrix units, {DEFAULT_TYPE}: {human(device.peak(), 'FLOPs')}/s",
        (right, peak),
        (0, 5),
        textcoords="offset points",
        ha="right",
        size=8,
    )
    slope = math.degrees(math.atan(_ASPECT * math.log10(right / left) / decades))
    middle = _middle([left, *(x for x, _ in points if x < ridge), ridge])
    panel.annotate(
        f"memory: {human(device.memory_bandwidth, 'B')}/s",
        (middle, middle * bandwidth),
        (-3, 4),
        textcoords="offset points",
        ha="center",
        rotation=slope,
        rotation_mode="anchor",
        size=8,
    )
    if device.vector is not None:
        _vector_roof(panel, device, right)
    _label(panel, lines, points, top, decades)
    ticker = library("matplotlib.ticker")
    panel.yaxis.set_major_formatter(ticker.EngFormatter("FLOPs/s"))
    panel.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.15g}"))
    panel.set_xlabel(
        "arithmetic intensity (FLOPs per byte moved); by name: time at best, what limits it"
    )
    panel.set_ylabel("attainable at best")
    return figure


def _middle(along: Sequence[float]) -> float:
    """The middle of the widest gap between ascending numbers, as a logarithmic axis shows it."""
    low, high = max(pairwise(along), key=lambda gap: gap[1] / gap[0])
    return math.sqrt(low * high)


def _shown(line: Line) -> bool:
    """Stages, and parts that are not stages themselves."""
    return (
        bool(line.flops and line.bytes_moved)
        and line.name != ("prefill", "vision")
        and (len(line.name) < 3)
    )


def _attained(line: Line) -> float:
    return drawable(line.flops / line.timing.seconds)


def _vector_roof(panel: Any, device: Device, right: float) -> None:
    peak = drawable(device.vector_peak())
    start = peak / drawable(device.memory_bandwidth)
    panel.plot([start, right], [peak, peak], color=FAINT, linestyle=(0, (4, 2)), linewidth=0.9)
    panel.annotate(
        f"other units: {human(device.vector_peak(), 'FLOPs')}/s",
        (start, peak),
        (8, -10),
        textcoords="offset points",
        color=FAINT,
        size=8,
    )


def _decades(points: Sequence[tuple[float, float]], top: float) -> float:
    """Decades of the panel in which the label of each point, on its own level, lies below it."""
    room = ((top - math.log10(y), 1 - (at + 2) * _LEVEL) for at, (_, y) in enumerate(points))
    return max(3.0, *(below / share for below, share in room))


def _label(
    panel: Any,
    lines: Sequence[Line],
    points: Sequence[tuple[float, float]],
    top: float,
    decades: float,
) -> None:
    """Mark points, and name each below it; levels rise with the points, so no two names meet."""
    for at, (line, (x, y)) in enumerate(zip(lines, points, strict=True)):
        stage, *part = line.name
        look = STAGES[stage]
        panel.plot(
            x,
            y,
            linestyle="",
            marker=look["marker"],
            markersize=6 if part else 10,
            color=look["color"],
            markeredgecolor="white",
            markeredgewidth=0.6,
            zorder=3,
        )
        level = 10 ** (top - decades + (at + 0.7) * _LEVEL * decades)
        panel.plot([x, x], [level, y], color=look["color"], linewidth=0.7)
        bound = line.timing.bound
        panel.annotate(
            f"{' / '.join(line.name)}: {duration(line.timing.seconds)}, {bound}",
            (x, level),
            (3, -1),
            textcoords="offset points",
            color="#222222",
            weight="normal" if part else "bold",
            size=8,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )
