"""Figures as a table for any program: one a row, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from symcost.export.naming import Name, shown_symbols
from symcost.export.targets import About
from symcost.formulas import text
from symcost.symbols import Expr

_COLUMNS = ("name", "stage", "part", "metric", "unit", "formula", "symbols", "assumptions")


def export_csv(figures: Mapping[str, Expr], about: About) -> str:
    """Figures as CSV: names, unit, formula as text, its symbols and what it holds for.

    Parameters
    ----------
    figures : mapping of str to sympy.Expr
        By name, such as "prefill.decoder.bytes_read".
    about : About
        What the figures hold for.
    """
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(_COLUMNS)
    for given, formula in figures.items():
        name = Name.of(given)
        symbols = " ".join(info.name for info in shown_symbols([formula]))
        names = (given, name.stage, name.part, name.metric, name.unit)
        table.writerow((*names, text(formula), symbols, about.given))
    return written.getvalue()
