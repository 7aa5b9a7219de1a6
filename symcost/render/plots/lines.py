"""How costs and the shares of parts change with a size."""

from __future__ import annotations

from typing import Any

import numpy as np

from symcost.insight.subject import CROPS, Subject
from symcost.render.figures import sign_of
from symcost.render.plots.asked import (
    Asked,
    along,
    by_part,
    drawable,
    own_size,
    points_of,
    sizes_of,
)
from symcost.render.plots.bars import stage_title
from symcost.render.plots.style import FAINT, PARTS, STAGES, figure_of, library, patch
from symcost.render.sweep_scales import along_x, along_y

_WIDTH, _HEIGHT, _MARGIN = 2.9, 2.15, 1.1
"""Inches of a panel, and beside all panels."""

_SIZES = {
    "batch": "batch B (sequences)",
    "context_len": "context S (tokens)",
    CROPS: "crops (tiles, in one column)",
    "base_size": "side of the global view (pixels)",
}
_OWN = {"color": FAINT, "linewidth": 0.9, "linestyle": ":"}
"""The line at the size that the workload itself has."""
_OF_IMAGE = (CROPS, "base_size")
_METRICS = {
    "flops": "FLOPs",
    "bytes_moved": "bytes moved",
    "resident_bytes": "resident bytes",
}


def growth(asked: Asked) -> Any:
    """FLOPs, traffic and memory of the stages, over each size by itself."""
    image = asked.workload.views is not None
    opened = [name for name in _SIZES if image or name not in _OF_IMAGE]
    stages = [stage for stage in STAGES if image or stage != "vision"]
    subjects = {name: asked.subject(name, None) for name in opened}
    figure = figure_of(
        "How costs grow: one size changes, the others stay",
        asked.title,
        len(opened) * _WIDTH + _MARGIN,
        len(_METRICS) * _HEIGHT + 0.3,
    )
    grid = figure.add_gridspec(len(_METRICS), len(opened))
    for row, (metric, words) in enumerate(_METRICS.items()):
        panels: list[Any] = []
        amounts: list[np.ndarray[Any, Any]] = []
        for column, subject in enumerate(subjects.values()):
            shared = {"sharey": panels[0]} if panels else {}
            panel = figure.add_subplot(grid[row, column], **shared)
            panels.append(panel)
            points = points_of(subject)
            panel.axvline(drawable(own_size(subject)), **_OWN)
            for stage in stages:
                formula, _ = subject.figure(f"{stage}.{metric}")
                found = along(subject, formula, points)
                amounts.append(found)
                panel.plot(list(map(drawable, points)), found, **STAGES[stage])
            _finish_x(panel, subject, last=row == len(_METRICS) - 1)
            panel.tick_params(labelleft=not column)
            if not column:
                panel.set_ylabel(words)
        along_y(panels[0], np.concatenate(amounts), sign_of(metric), logarithmic=True)
    line = library("matplotlib.lines").Line2D
    handles = [line([], [], **STAGES[stage]) for stage in stages]
    labels = [stage if stage == "vision" else stage_title(asked, stage) for stage in stages]
    handles.append(line([], [], **_OWN))
    figure.legend(
        handles, [*labels, "the size of this workload"], loc="outside lower left", ncols=4
    )
    return figure


def shares(asked: Asked) -> Any:
    """The share of each part in the FLOPs and the traffic of a stage, over batch and context."""
    metrics = ("flops", "bytes_moved")
    subjects = {name: asked.subject(name, None) for name in ("batch", "context_len")}
    columns = [(stage, name) for stage in ("prefill", "decode") for name in subjects]
    figure = figure_of(
        "Which parts the work and the traffic belong to, as sizes change",
        asked.title,
        len(columns) * _WIDTH + _MARGIN,
        len(metrics) * (_HEIGHT + 0.2) + 0.3,
    )
    grid = figure.add_gridspec(len(metrics), len(columns))
    seen: set[str] = set()
    for row, metric in enumerate(metrics):
        for column, (stage, name) in enumerate(columns):
            panel = figure.add_subplot(grid[row, column])
            seen |= _stack(panel, subjects[name], stage, metric)
            _finish_x(panel, subjects[name], last=row == len(metrics) - 1)
            panel.margins(x=0)
            panel.set_ylim(0, 100)
            panel.yaxis.set_major_formatter(library("matplotlib.ticker").PercentFormatter())
            panel.tick_params(labelleft=not column)
            if not row:
                panel.set_title(stage_title(asked, stage))
            if not column:
                panel.set_ylabel(f"share of {_METRICS[metric]}")
    looks = {part: look for part, look in PARTS.items() if part in seen}
    handles = [patch(*look) for look in looks.values()]
    figure.legend(handles[::-1], list(looks)[::-1], loc="outside right center")
    return figure


def _stack(panel: Any, subject: Subject, stage: str, metric: str) -> set[str]:
    """Draw the shares of parts on top of each other; the names of those that there are."""
    sizes = points_of(subject)
    formulas = by_part(subject, stage, metric)
    found = {part: along(subject, formulas[part], sizes) for part in PARTS if part in formulas}
    found = {part: amounts for part, amounts in found.items() if amounts.any()}
    x = list(map(drawable, sizes))
    whole = np.sum(list(found.values()), axis=0)
    below = np.zeros(len(sizes))
    for part, amounts in found.items():
        colour, hatch = PARTS[part]
        above = below + 100 * amounts / whole
        panel.fill_between(
            x,
            below,
            above,
            facecolor=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0.6,
        )
        below = above
    return set(found)


def _finish_x(panel: Any, subject: Subject, *, last: bool) -> None:
    along_x(panel, np.array(sizes_of(subject)), _WIDTH - 0.5)
    panel.tick_params(labelbottom=last)
    if last:
        panel.set_xlabel(_SIZES[subject.opened])
