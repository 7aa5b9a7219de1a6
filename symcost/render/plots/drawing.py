"""A workload as a picture of a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from symcost.errors import InputError
from symcost.execution import Execution
from symcost.insight.devices import Device, device_named
from symcost.render.pictures import file_of
from symcost.render.plots import Kind
from symcost.render.plots.asked import Asked
from symcost.render.plots.bars import breakdown, executions
from symcost.render.plots.lines import growth, shares
from symcost.render.plots.roof import roofline
from symcost.render.plots.style import styled

_DRAWN: Mapping[Kind, Callable[[Asked], Any]] = {
    Kind.BREAKDOWN: breakdown,
    Kind.GROWTH: growth,
    Kind.EXECUTIONS: executions,
    Kind.SHARES: shares,
}

_PAGE_DEVICE = "H100-SXM"
"""What the roofline of a page is drawn for."""


def plot(asked: Asked, kind: Kind, device: Device | None = None) -> Any:
    """A matplotlib Figure.

    Parameters
    ----------
    asked : Asked
        The workload.
    kind : Kind
        What the plot shows.
    device : Device, optional
        For a roofline, which needs one.

    Raises
    ------
    InputError
        The device is missing, a number is too large to be drawn, or the extra `plot` is not
        installed.
    """
    with styled():
        if kind is not Kind.ROOFLINE:
            return _DRAWN[kind](asked)
        if device is None:
            raise InputError("a roofline is that of a device; give one, such as H100-SXM")
        return roofline(asked, device)


def picture(asked: Asked, kind: Kind, suffix: str, device: Device | None = None) -> bytes:
    """A plot as a file holds it whose name ends in `.svg` or `.png`; the same bytes each time."""
    return file_of(lambda: plot(asked, kind, device), suffix, styled)


def plots_of_page(model: str) -> dict[str, str]:
    """All plots of a page of A4 and its answer, by the names of kinds, as SVG.

    The page runs as a serving engine runs it. Its roofline is that of one device, at best.
    """
    served, best = Asked.page(model), Asked.page(model, Execution.IDEAL)
    device = device_named(_PAGE_DEVICE)
    shown = {kind: best if kind is Kind.ROOFLINE else served for kind in Kind}
    return {kind.value: picture(of, kind, ".svg", device).decode() for kind, of in shown.items()}
