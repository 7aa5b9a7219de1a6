"""Figures as a table for any program: one a row, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from symcost.export.naming import Name, shown_symbols
from symcost.formulas import text
from symcost.symbols import Expr

_COLUMNS = ("name", "stage", "part", "metric", "unit", "formula", "symbols")


def export_csv(figures: Mapping[str, Expr]) -> str:
    """Figures as CSV: names, unit, formula as text and the symbols that it takes.

    Parameters
    ----------
    figures : mapping of str to sympy.Expr
        By name, such as "prefill.decoder.bytes_read".
    """
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(_COLUMNS)
    for given, formula in figures.items():
        name = Name.of(given)
        symbols = " ".join(info.name for info in shown_symbols([formula]))
        row = (given, name.stage, name.part, name.metric, name.unit, text(formula), symbols)
        table.writerow(row)
    return written.getvalue()
