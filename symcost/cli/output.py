"""Tables in the terminal, and text to the terminal or to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from time import perf_counter
from typing import Any

import typer
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.status import Status
from rich.table import Column, Table
from rich.text import Text

from symcost.files import write_all
from symcost.render.listing import Row
from symcost.render.proof import PROOF_COLUMNS, proof_rows, proof_summary
from symcost.render.report import Comparison, Report, TableRow
from symcost.render.sections import Section
from symcost.render.verification import (
    NUMERIC_COLUMNS,
    VERIFICATION_COLUMNS,
    verification_cells,
    verification_summary,
)
from symcost.rounded import human

FILE_WIDTH = 160
"""Columns of a table that does not go to a terminal."""

_ALL_DIGITS = 150
"""Columns of the terminal that a verification with all its digits takes."""

_COLUMN = 14
"""Columns of the terminal that a figure takes at most, its border included."""


def report_tables(report: Report | Comparison, width: int) -> Group:
    """A report as a table with a row for each stage and part, cut where the terminal ends."""
    columns, rows = report.columns, list(report.rows())
    label = max(len(name) + 2 * depth for name, depth, _ in rows) + 4
    size = max(1, (width - label) // _COLUMN)
    tables = [
        _table(columns[start : start + size], rows, start) for start in range(0, len(columns), size)
    ]
    return Group(Text(report.title), *tables, *map(Text, report.notes()))


def _table(columns: Sequence[str], rows: Sequence[TableRow], start: int) -> Table:
    table = Table(Column("", no_wrap=True))
    for column in columns:
        table.add_column(column, justify="right")
    for name, depth, cells in rows:
        if depth == 0 and table.row_count:
            table.add_section()
        label = Text("  " * depth + name, no_wrap=True)
        table.add_row(
            label, *cells[start : start + len(columns)], style="bold" if depth == 0 else ""
        )
    return table


def formula_table(rows: Sequence[Row]) -> Table:
    """Formulas as a table."""
    table = Table(show_lines=True)
    for column in ("where", "metric", "formula"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(row.where, row.metric, row.text)
    return table


def verification_table(found: Mapping[str, Any], width: int) -> Group:
    """A verification as a table with a row for each quantity, stage and part, and its sum.

    Where the terminal is too narrow for all digits, sums are rounded; the difference never is.
    """
    narrow = width < _ALL_DIGITS
    table = Table()
    for column in VERIFICATION_COLUMNS:
        numeric = column in NUMERIC_COLUMNS
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    before = None
    for row in found["rows"]:
        if before not in (None, (row["quantity"], row["stage"])):
            table.add_section()
        before = row["quantity"], row["stage"]
        style = "" if row["part"] else "bold"
        table.add_row(*verification_cells(row, rounded=narrow), style=style)
    return Group(table, *map(Text, verification_summary(found)))


def section_tables(
    sections: Iterable[Section], summary: Iterable[str], title: str = "", width: int = FILE_WIDTH
) -> Group:
    """Tables with headings, what was asked before them if told, and what came out behind them.

    A table of numbers that is too wide is cut into several, each with the words of its rows.
    """
    shown: list[RenderableType] = [Text(title)] if title else []
    for section in sections:
        shown.append(Text(section.title, style="bold"))
        shown += [_cut(section, chosen, width) for chosen in _chunks(section, width)]
    return Group(*shown, *map(Text, summary))


def _chunks(section: Section, width: int) -> Iterator[list[int]]:
    """The columns of numbers of each table that a section is cut into."""
    sizes = [
        3 + max(map(len, (column, *(row[at] for row in section.rows))))
        for at, column in enumerate(section.columns)
    ]
    words = sum(sizes[: section.words]) + 1
    chunk: list[int] = []
    for at in range(section.words, len(sizes)):
        if chunk and words + sum(sizes[i] for i in (*chunk, at)) > width:
            yield chunk
            chunk = []
        chunk.append(at)
    yield chunk


def _cut(section: Section, numbers: Sequence[int], width: int) -> Table:
    """Some columns of a section's numbers beside its words, which fold where they are long."""
    table = Table()
    chosen = [*range(section.words), *numbers]
    for at in chosen:
        words = at < section.words
        longest = max(map(len, (section.columns[at], *(row[at] for row in section.rows))))
        justify: JustifyMethod = "left" if words else "right"
        whole = not words or 3 * longest < width
        table.add_column(section.columns[at], justify=justify, overflow="fold", no_wrap=whole)
    for row in section.rows:
        table.add_row(*(row[at] for at in chosen))
    return table


def proof_table(found: Mapping[str, Any]) -> Group:
    """A proof as a table with a row for each part of a stage, and what came out."""
    table = Table(show_lines=True)
    for column in PROOF_COLUMNS:
        table.add_column(column, overflow="fold")
    for row in proof_rows(found):
        table.add_row(*row)
    return Group(table, *map(Text, proof_summary(found)))


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error; what it yields is told what is done, how far and of how much."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done, total=total
        )


@contextmanager
def point_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error with the rate of points and the time that is left.

    What it yields is told how many points are done, from 0 in each pass, and of how many.
    """
    console = Console(stderr=True)
    with Progress(
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("writing down formulas", total=None)
        started = perf_counter()

        def update(done: int, total: int) -> None:
            nonlocal started
            if not done:
                started = perf_counter()
                bar.update(task, completed=0, total=total, description="")
                return
            rate = done / max(perf_counter() - started, 1e-9)
            left = timedelta(seconds=round((total - done) / rate))
            told = f"{human(int(rate))} points/s, {left} left"
            bar.update(task, completed=done, total=total, description=told)

        yield update


def formulas_status() -> Status:
    """A sign on standard error that formulas are being written down."""
    return Console(stderr=True).status("writing down formulas")


def emit(content: str | Callable[[int], RenderableType], output: Path | None) -> None:
    """Show text, or what is drawn for a width, in the terminal; or write it to a file."""
    if not isinstance(content, str):
        buffer = StringIO()
        terminal = Console(highlight=False)
        on_terminal = output is None and terminal.is_terminal
        console = terminal if on_terminal else Console(file=buffer, width=FILE_WIDTH)
        console.print(content(console.width), highlight=False)
        content = buffer.getvalue()
    if output is None:
        typer.echo(content, nl=False)
    else:
        write_all({output: content})
