"""Where panels of a sweep's picture stand, what they are called, and the legend beside them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from symcost.render.sweep_roles import Name
from symcost.sweeps.files.description import library

WIDTH, HEIGHT, MARGIN = 3.3, 2.5, 1.4
"""Inches of a panel among others, and beside all panels."""
BESIDE: Mapping[str, Any] = {"loc": "outside right upper", "alignment": "left"}
"""Where the legend stands."""
_FAINT = "#555555"
_ALONE = 1.6
"""How much wider a panel is that has no other beside it."""
_LONGEST_NOTE = 48
_STAGES = ("vision", "prefill", "decode", "generation")


def panels_of(
    metrics: Sequence[str],
    width: float,
    height: float,
    *,
    share: str = "sharex",
    margin: float = MARGIN,
) -> tuple[Any, dict[str, Any]]:
    """A figure and its panels in reading order, stages side by side where each has all metrics."""
    ordered = sorted(metrics, key=lambda metric: _STAGES.index(metric.split(".")[0]))
    stages = list(dict.fromkeys(metric.rpartition(".")[0] for metric in ordered))
    kinds = list(dict.fromkeys(metric.rpartition(".")[2] for metric in metrics))
    table = [f"{stage}.{kind}" for kind in kinds for stage in stages]
    columns = min(3, len(ordered)) if len(ordered) != 4 else 2
    if len(stages) in range(2, 5) and set(table) == set(metrics):
        ordered, columns = table, len(stages)
    elif len(ordered) == 2 and share == "sharex":
        columns = 1
    rows = math.ceil(len(ordered) / columns)
    larger = _ALONE if columns == 1 else 1
    figure = library("matplotlib.figure").Figure(
        figsize=(columns * width * larger + margin, rows * height + 0.5), layout="constrained"
    )
    grid = figure.add_gridspec(rows, columns)
    panels: dict[str, Any] = {}
    for number, metric in enumerate(ordered):
        first = next(iter(panels.values()), None)
        panels[metric] = figure.add_subplot(grid[divmod(number, columns)], **{share: first})
        if share == "sharex" and number + columns < len(ordered):
            panels[metric].tick_params(labelbottom=False)
    return figure, panels


def head(panel: Any, metric: str, note: str = "") -> None:
    """Name a panel's metric, and below it what the panel does not show by itself."""
    *path, kind = metric.split(".")
    words = kind.replace("_", " ").replace("flops", "FLOPs").replace("kv", "KV")
    panel.set_title(f"{'.'.join(path)}: {words}", pad=18 if note else 6)
    panel.annotate(
        textwrap.shorten(note, _LONGEST_NOTE, placeholder=" …"),
        (0, 1),
        (0, 5),
        xycoords="axes fraction",
        textcoords="offset points",
        color=_FAINT,
        fontsize=8,
    )


def legend(
    figure: Any, shown: Sequence[tuple[Name, Sequence[Mapping[str, Any]]]], entry: Mapping[str, Any]
) -> None:
    """Name after name, the largest numbers on top, as their lines mostly are."""
    line = library("matplotlib.lines").Line2D
    handles: list[Any] = []
    labels: list[str] = []
    heads: list[int] = []
    for name, looks in shown:
        heads.append(len(handles))
        values = [
            line([], [], **{"color": _FAINT, "markersize": 5, **entry, **look}) for look in looks
        ]
        upwards = -1 if name.numeric else 1
        handles += [line([], [], linestyle=""), *values[: len(name)][::upwards]]
        labels += [name.title, *name.texts[::upwards]]
    if len(heads) == 1:
        figure.legend(handles[1:], labels[1:], title=labels[0], **BESIDE)
        return
    texts = figure.legend(handles, labels, **BESIDE).get_texts()
    for head in heads:
        texts[head].set_weight("bold")
