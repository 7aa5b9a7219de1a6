"""What all pictures have in common: colours, settings of matplotlib, and the files they become."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

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
