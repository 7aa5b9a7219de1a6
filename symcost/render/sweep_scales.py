"""Scales and ticks of a sweep's picture: numbers as people read them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symcost.sweeps.files.description import library

_CHARACTER, _GAP, _LINE = 0.078, 0.14, 0.35
"""Inches that labels of ticks take: a character, the space to the next label, and a line."""
_LOGARITHMIC_FROM = 10
"""How many times the least amount the largest is where amounts are drawn logarithmically."""
_CONSTANT = 1e-4
"""Relative spread below which amounts are drawn as one level above zero."""
_BINARY = 64
"""Sizes that are multiples of this get ticks at multiples of a power of two."""
_STEPS = (1, 2, 2.5, 5, 10)
"""Leading digits of the distance between round ticks."""
_PREFIXED = 10**7
"""Sizes from here on are written with a prefix."""


def written(size: float) -> str:
    """A size: 8192, 131,072."""
    return f"{size:,.0f}" if size >= 10**4 else f"{size:.0f}"


def geometric(sizes: NDArray[Any]) -> bool:
    """Whether ascending sizes grow more evenly by factors than by steps."""
    if len(sizes) < 3 or sizes[0] <= 0 or sizes[-1] < 4 * sizes[0]:
        return False
    values = sizes.astype(float)
    steps, factors = np.diff(values), np.diff(np.log(values))
    return bool(factors.std() / factors.mean() < steps.std() / steps.mean())


def along_x(panel: Any, sizes: NDArray[Any], inches: float) -> None:
    """Draw ascending sizes along x."""
    if geometric(sizes):
        panel.set_xscale("log")
    _mark(panel.xaxis, sizes, (_CHARACTER * len(written(sizes[-1])) + _GAP) / inches)


def along_bar(bar: Any, sizes: NDArray[Any], inches: float) -> None:
    """Mark ascending sizes at a colour bar."""
    _mark(bar.ax.yaxis, sizes, _LINE / inches)


def _mark(axis: Any, sizes: NDArray[Any], label: float) -> None:
    """Ticks at sizes, where labels fit that take a given share of the axis; else at round ones."""
    ticker, logarithmic = library("matplotlib.ticker"), geometric(sizes)
    axis.set_minor_formatter(ticker.NullFormatter())
    if not logarithmic:
        axis.set_major_locator(ticker.MaxNLocator(5, integer=True, steps=_STEPS))
    if sizes[-1] >= _PREFIXED:
        axis.set_major_formatter(ticker.EngFormatter(sep=""))
        return
    axis.set_major_formatter(ticker.FuncFormatter(lambda size, _: written(size)))
    shown = _that_fit(sizes, label, logarithmic)
    if shown is not None:
        axis.set_major_locator(ticker.FixedLocator(shown))
        axis.set_minor_locator(ticker.NullLocator())
    elif not logarithmic and not (sizes % _BINARY).any():
        closest = (sizes[-1] - sizes[0]) * label
        axis.set_major_locator(ticker.MultipleLocator(2 ** math.ceil(math.log2(closest))))


def _that_fit(sizes: NDArray[Any], label: float, logarithmic: bool) -> NDArray[Any] | None:
    """All sizes, or each k-th of geometric ones, if their labels do not touch."""
    places = np.log(sizes) if logarithmic else sizes.astype(float)
    gap = label * (places[-1] - places[0])
    for every in range(1, (len(sizes) - 1) // 2 + 1 if logarithmic else 2):
        if np.diff(places[::every]).min() >= gap:
            return sizes[::every]
    return None


def along_y(panel: Any, amounts: NDArray[Any], unit: str, *, logarithmic: bool) -> None:
    """Draw FLOPs or bytes along y; logarithmically only where they span much, too."""
    ticker = library("matplotlib.ticker")
    least, most = float(amounts.min()), float(amounts.max())
    if logarithmic and 0 < _LOGARITHMIC_FROM * least <= most:
        panel.set_yscale("log")
        between = (1, 2, 5) if most < 200 * least else (1,)
        panel.yaxis.set_major_locator(ticker.LogLocator(subs=between, numticks=8))
        panel.yaxis.set_minor_formatter(ticker.NullFormatter())
    else:
        panel.yaxis.set_major_locator(ticker.MaxNLocator(5, integer=True, steps=_STEPS))
        if most - least <= _CONSTANT * most:
            panel.set_ylim(0, 1.25 * most or 1)
    panel.yaxis.set_major_formatter(ticker.EngFormatter(unit))
