"""What all pictures have in common: colours, settings of matplotlib, and the files they become."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any

from symcost.errors import InputError

SUFFIXES = (".svg", ".png")
"""What names of pictures end in."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, which colour-blind people tell apart."""

PIXELS = 200
"""Dots per inch of a PNG."""

STYLE: Mapping[str, Any] = MappingProxyType(
    {
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
        "svg.fonttype": "none",  # letters that one can select, and small files
        "svg.hashsalt": "symcost",
        "xtick.color": "#444444",
        "ytick.color": "#444444",
    }
)
"""Settings of matplotlib."""


_WRITTEN_BY = {".svg": {"Date": None, "Creator": "symcost"}, ".png": {"Software": "symcost"}}


def file_of(
    draw: Callable[[], Any], suffix: str, styled: Callable[[], AbstractContextManager[None]]
) -> bytes:
    """What a file holds whose name ends in `.svg` or `.png`; the same bytes each time."""
    if suffix not in SUFFIXES:
        raise InputError(f"a plot is to end in {suffix!r}; allowed: {', '.join(SUFFIXES)}")
    contents = io.BytesIO()
    with styled():
        draw().savefig(contents, format=suffix[1:], dpi=PIXELS, metadata=_WRITTEN_BY[suffix])
    return contents.getvalue()
