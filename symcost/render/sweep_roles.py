"""How the axes of a sweep are told apart in its picture: by place, colour, dashes and marker."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symcost.errors import InputError
from symcost.render.pictures import COLOURS
from symcost.render.sweep_scales import geometric, written
from symcost.sweeps.axes import Column
from symcost.sweeps.describing import NAMES
from symcost.sweeps.files.description import library
from symcost.sweeps.sweeping import Sweep

DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P")

LISTED = 12
"""Sizes that a list of colours tells apart; more are told apart by a colour bar."""
MOST_STYLED = 72
"""Lines of a panel that differ in more than their colour."""


@dataclass(frozen=True, eq=False)
class Name:
    """A name that axes set: its different values in order, and where each point has its own."""

    name: str
    values: NDArray[Any]
    places: NDArray[np.int64]

    @property
    def numeric(self) -> bool:
        """Whether values are integers."""
        return self.values.dtype.kind == "i"

    @property
    def title(self) -> str:
        """The name and its unit."""
        unit = NAMES[self.name][1]
        return f"{self.name} ({unit})" if unit else self.name

    @property
    def texts(self) -> list[str]:
        """The values as people read them."""
        return [written(value) if self.numeric else str(value) for value in self.values]

    def __len__(self) -> int:
        return len(self.values)


def names_of(result: Sweep) -> list[Name]:
    """What axes set, at the points that are left."""
    points = result.plan.points
    left = np.arange(points.size) if result.indices is None else result.indices
    _, *positions = np.unravel_index(left, (1, *points.shape))
    names = []
    for axis, position in zip(points.axes, positions, strict=True):
        for name, column in axis.columns.items():
            numbers, places = np.unique(column.numbers[position], return_inverse=True)
            names.append(Name(name, Column(numbers, column.texts).at(slice(None)), places))
    return names


@dataclass(frozen=True, eq=False)
class Roles:
    """What tells the values of each name apart."""

    x: Name
    colour: Name | None = None
    dashes: Name | None = None
    marker: Name | None = None

    @property
    def series(self) -> list[Name]:
        """The names that are not along x."""
        names = (self.colour, self.dashes, self.marker)
        return list(dict.fromkeys(name for name in names if name is not None))


def of_lines(x: Name, others: Sequence[Name]) -> Roles:
    """Colours for the longest axis, dashes for the next, markers for a third or many values.

    Raises
    ------
    InputError
        There are more combinations than can be told apart.
    """
    ranked = sorted(others, key=lambda name: (-len(name), not name.numeric))
    colour = next(filter(_colourable, ranked), None)
    rest = [name for name in ranked if name is not colour]
    marker = rest.pop(0) if len(rest) > 1 or (rest and len(rest[0]) > len(DASHES)) else None
    dashes = rest.pop(0) if rest else None
    lines = math.prod(map(len, others))
    if (
        rest
        or (marker is not None and len(marker) > len(MARKERS))
        or (dashes is not None and len(dashes) > len(DASHES))
        or ((marker or dashes) and lines > MOST_STYLED)
    ):
        counts = ", ".join(f"{len(name)} of {name.name}" for name in others)
        raise InputError(
            f"a plot cannot tell {lines} lines along {x.name} apart ({counts}); narrow them: "
            f"numbers of one axis, or up to {len(COLOURS)} texts, with up to {len(MARKERS)} values "
            f"of a second and {len(DASHES)} of a third axis, {MOST_STYLED} lines together"
        )
    if dashes is None and colour and not colour.numeric and len(colour) <= len(DASHES):
        dashes = colour  # lines that lie on top of each other show through
    return Roles(x, colour, dashes, marker)


def of_dots(x: Name, others: Sequence[Name]) -> Roles:
    """Colours for the longest other name, numbers first, and markers for the next that is short."""
    ranked = sorted(others, key=lambda name: (not name.numeric, -len(name)))
    colour = next(filter(_colourable, ranked), None)
    short = (name for name in ranked if name is not colour and len(name) <= len(MARKERS))
    return Roles(x, colour, marker=next(short, None))


def _colourable(name: Name) -> bool:
    return name.numeric or len(name) <= len(COLOURS)


class Colours:
    """A colour for each value of a name: along a map for numbers, far apart for texts.

    Attributes
    ----------
    of : sequence of colour
        By the place of the value.
    scale : matplotlib.cm.ScalarMappable, optional
        The map, where there are too many for a list.
    """

    def __init__(self, name: Name | None) -> None:
        self.of: Any = COLOURS
        self.scale: Any = None
        if name is None or not name.numeric:
            return
        colours = library("matplotlib.colors")
        # The end of the map is too pale for lines on white.
        viridis = library("matplotlib").colormaps["viridis"](np.linspace(0, 0.9, 256))
        shades = colours.ListedColormap(viridis)
        if len(name) <= LISTED:
            self.of = shades(np.linspace(0, 1, len(name)))
            return
        sizes = name.values.astype(float)
        norm = (colours.LogNorm if geometric(sizes) else colours.Normalize)(sizes[0], sizes[-1])
        self.scale = library("matplotlib.cm").ScalarMappable(norm, shades)
        self.of = self.scale.to_rgba(sizes)
