"""Panels of a sweep's picture: lines, dots and bars."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from symcost.errors import InputError
from symcost.render.figures import sign_of
from symcost.render.pictures import COLOURS
from symcost.render.sweep_layout import BESIDE, HEIGHT, MARGIN, WIDTH, head, legend, panels_of
from symcost.render.sweep_roles import DASHES, MARKERS, Colours, Name, Roles
from symcost.render.sweep_scales import along_bar, along_x, along_y, geometric
from symcost.rounded import human
from symcost.sweeps.files.description import library

Amounts: TypeAlias = Mapping[str, NDArray[Any]]
"""Metrics of the points by name."""

MOST_BARS = 48
"""Bars of a panel."""
_LETTER = 0.075
"""Inches of a letter of a label."""
_FEW = 24
"""Dots that a line carries at most, or twice as many."""
_VECTORS = 2000
"""Dots of a panel from which they become pixels, which a reader opens faster."""


def lines(amounts: Amounts, roles: Roles) -> Any:
    """A figure with a line for each combination of the values that are not along x."""
    names = [*roles.series, roles.x]
    order = np.lexsort([name.places for name in reversed(names)])
    shape, colours = tuple(map(len, names)), Colours(roles.colour)
    figure, panels = panels_of(list(amounts), WIDTH, HEIGHT)
    plain = MARKERS[0] if len(roles.x) <= _FEW else ""
    for metric, panel in panels.items():
        grid = amounts[metric][order].reshape(shape)
        for place in np.ndindex(shape[:-1]):
            at = dict(zip(roles.series, place, strict=True))
            panel.plot(
                roles.x.values,
                grid[place].astype(float),
                color=colours.of[at[roles.colour] if roles.colour else 0],
                linestyle=DASHES[at[roles.dashes] if roles.dashes else 0],
                marker=MARKERS[at[roles.marker]] if roles.marker else plain,
                markevery=max(1, len(roles.x) // _FEW),
            )
        head(panel, metric, "; ".join(_equal(grid, names)))
    _finish(figure, panels, roles, colours, amounts, {})
    return figure


def _equal(grid: NDArray[Any], names: Sequence[Name]) -> Iterator[str]:
    """What lies on top of each other: axes that change nothing, and texts that are alike."""
    idle: list[str] = []
    alike: list[str] = []
    for axis, name in enumerate(names):
        texts: dict[bytes, list[str]] = {}
        for text, amounts in zip(name.texts, np.moveaxis(grid, axis, 0), strict=True):
            texts.setdefault(amounts.tobytes(), []).append(text)
        if len(texts) == 1:
            idle.append(name.name)
        elif not name.numeric:
            alike += [" = ".join(same) for same in texts.values() if len(same) > 1]
    if idle:
        yield f"the same for every {', '.join(idle)}"
    yield from alike


def dots(amounts: Amounts, roles: Roles) -> Any:
    """A figure with a dot for each point."""
    figure, panels = panels_of(list(amounts), WIDTH, HEIGHT)
    colours = Colours(roles.colour)
    points = len(roles.x.places)
    shades = np.array([library("matplotlib.colors").to_rgba(colour) for colour in colours.of])
    for metric, panel in panels.items():
        for marked in range(len(roles.marker) if roles.marker else 1):
            here = roles.marker.places == marked if roles.marker else np.full(points, True)
            panel.scatter(
                roles.x.values[roles.x.places[here]],
                amounts[metric][here].astype(float),
                s=20 if points <= 300 else 8 if points <= _VECTORS else 3,
                c=shades[roles.colour.places[here] if roles.colour else np.zeros(here.sum(), int)],
                marker=MARKERS[marked],
                linewidths=0,
                alpha=0.8,
                rasterized=points > _VECTORS,
            )
        head(panel, metric)
    _finish(figure, panels, roles, colours, amounts, {"linestyle": "", "marker": MARKERS[0]})
    return figure


@dataclass(frozen=True, eq=False)
class Groups:
    """Where bars stand.

    Parameters
    ----------
    names : sequence of Name
        What changes from group to group.
    labels : sequence of str
        The groups, by the values of these names.
    places : array of int64
        The group of each point.
    coloured : Name, optional
        What tells the bars of a group apart.
    """

    names: Sequence[Name]
    labels: Sequence[str]
    places: NDArray[np.int64]
    coloured: Name | None


def groups_of(names: Sequence[Name], points: int) -> Groups:
    """Groups along y, and colours for the shortest axis.

    Raises
    ------
    InputError
        There are more bars than can be read.
    """
    groups, coloured = list(names), None
    if len(names) > 1 and len(_combined(names, points)[0]) == math.prod(map(len, names)):
        *groups, coloured = sorted(names, key=len, reverse=True)
    labels, places = _combined(groups, points)
    bars = len(labels) * (len(coloured) if coloured else 1)
    if bars > MOST_BARS:
        counts = ", ".join(f"{len(name)} of {name.name}" for name in names)
        raise InputError(
            f"a plot has no room for {bars} bars ({counts}); allowed: {MOST_BARS}: narrow an axis"
        )
    return Groups(groups, labels, places, coloured)


def bars(amounts: Amounts, groups: Groups) -> Any:
    """A figure with a bar for each point."""
    labels, places, coloured = groups.labels, groups.places, groups.coloured
    count, beside = len(labels), len(coloured) if coloured else 1
    figure, panels = panels_of(
        list(amounts),
        WIDTH,
        0.6 + 0.17 * count * (beside + 0.6),
        share="sharey",
        margin=_LETTER * max(map(len, labels)) + MARGIN,
    )
    for metric, panel in panels.items():
        for number in range(beside):
            here = coloured.places == number if coloured else slice(None)
            found = amounts[metric][here]
            drawn = panel.barh(
                places[here] + (number - (beside - 1) / 2) * 0.8 / beside,
                found.astype(float),
                0.8 / beside,
                color=COLOURS[number],
                edgecolor="white",
            )
            texts = [human(amount, sign_of(metric)) for amount in found.tolist()]
            panel.bar_label(drawn, texts, padding=3, fontsize=8)
        panel.set_xlim(0, 1.5 * float(amounts[metric].max()) or 1)
        panel.xaxis.set_visible(False)
        panel.spines["bottom"].set_visible(False)
        panel.grid(visible=False)
        panel.tick_params(axis="y", length=0, labelleft=panel.get_subplotspec().is_first_col())
        head(panel, metric)
    first = next(iter(panels.values()))
    first.set_yticks(range(count), labels)
    first.invert_yaxis()
    figure.supylabel(", ".join(name.name for name in groups.names), size="medium")
    if coloured:
        patch = library("matplotlib.patches").Patch
        patches = [patch(color=colour) for colour in COLOURS[:beside]]
        figure.legend(patches, coloured.texts, title=coloured.title, **BESIDE)
    return figure


def _combined(names: Sequence[Name], points: int) -> tuple[list[str], NDArray[np.int64]]:
    """The combinations of values that there are, and the place of each point's among them."""
    rows = np.stack([np.zeros(points, np.int64), *(name.places for name in names)])
    found, places = np.unique(rows, axis=1, return_inverse=True)
    labels = [
        ", ".join(name.texts[at] for name, at in zip(names, position, strict=True))
        for position in found[1:].T
    ]
    return labels, places.reshape(-1)


def _finish(
    figure: Any,
    panels: Mapping[str, Any],
    roles: Roles,
    colours: Colours,
    amounts: Amounts,
    entry: Mapping[str, Any],
) -> None:
    """Scales, and what tells lines or dots apart: a legend whose entries look as given."""
    logarithmic = any(n.numeric and geometric(n.values) for n in (roles.x, *roles.series))
    for metric, panel in panels.items():
        along_y(panel, amounts[metric], sign_of(metric), logarithmic=logarithmic)
        if panel.xaxis.get_tick_params()["labelbottom"]:
            panel.set_xlabel(roles.x.title)
    first, *_ = panels.values()
    rows, columns = first.get_gridspec().get_geometry()
    along_x(first, roles.x.values, (figure.get_figwidth() - MARGIN) / columns - 0.8)
    if colours.scale is not None and roles.colour is not None:
        bar = figure.colorbar(
            colours.scale, ax=list(panels.values()), label=roles.colour.title, aspect=25 * rows
        )
        bar.outline.set_visible(False)
        along_bar(bar, roles.colour.values, figure.get_figheight() - 1)
    shown: list[tuple[Name, list[dict[str, Any]]]] = []
    if roles.colour and colours.scale is None:
        shown.append((roles.colour, [{"color": colour} for colour in colours.of]))
    if roles.dashes and roles.dashes is roles.colour:
        for look, dashes in zip(shown[0][1], DASHES, strict=False):
            look["linestyle"] = dashes
    elif roles.dashes:
        shown.append((roles.dashes, [{"linestyle": dashes} for dashes in DASHES]))
    if roles.marker:
        shown.append((roles.marker, [{"linestyle": "", "marker": mark} for mark in MARKERS]))
    if shown:
        legend(figure, shown, entry)
