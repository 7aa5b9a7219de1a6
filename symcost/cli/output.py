"""Tables in the terminal, and text to the terminal or to a file."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from symcost.files import write_all
from symcost.render.listing import Row
from symcost.render.report import COLUMNS, Report

FILE_WIDTH = 160
"""Columns of a table that is written to a file."""


def report_table(report: Report) -> Table:
    """A report as a table: a row for each stage and part."""
    table = Table(title=report.title, title_justify="left", title_style="")
    table.add_column("")
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for name, depth, cells in report.rows():
        style = "bold" if depth == 0 else ""
        if depth == 0 and table.row_count:
            table.add_section()
        table.add_row(Text("  " * depth + name, no_wrap=True), *cells, style=style)
    return table


def formula_table(rows: Sequence[Row]) -> Table:
    """Formulas as a table."""
    table = Table(show_lines=True)
    for column in ("where", "metric", "formula"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(row.where, row.metric, row.text)
    return table


def emit(content: str | Table, output: Path | None) -> None:
    """Show something, or write it to a file."""
    if isinstance(content, Table):
        terminal = Console(highlight=False, markup=False)
        if output is None:
            narrow = not terminal.is_terminal
            Console(highlight=False, markup=False, width=FILE_WIDTH if narrow else None).print(
                content
            )
            return
        buffer = StringIO()
        Console(file=buffer, width=FILE_WIDTH, highlight=False).print(content)
        content = buffer.getvalue()
    if output is None:
        print(content, end="")  # noqa: T201
    else:
        write_all({output: content})
