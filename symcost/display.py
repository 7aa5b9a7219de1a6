"""What notebooks show: tables of words, rounded numbers and formulas, as HTML, Markdown and LaTeX.

Viewers take HTML where they can. Its formulas are plain letters with raised and lowered ones, since
Visual Studio Code and GitHub typeset no math in HTML, and they break into lines.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from typing import TypeAlias

import sympy as sp

from symcost import formulas
from symcost.exact import Amount, Number, simplest
from symcost.rounded import human
from symcost.symbols import CATALOGUE, Expr


@dataclass(frozen=True)
class Rounded:
    """A number as people read it, and all of it, which HTML shows where one points at it."""

    text: str
    exact: str


Cell: TypeAlias = str | Rounded | Expr
"""Words, a number or a formula."""


def cell(amount: Amount, unit: str = "") -> Cell:
    """A number rounded, with a prefix and its unit, or a formula as it is."""
    value = simplest(amount)
    return value if isinstance(value, sp.Expr) else rounded(value, unit)


def rounded(number: Number, unit: str = "") -> Rounded:
    """A number with a prefix and its unit."""
    whole = str(number) if isinstance(number, Fraction) else f"{number:,}"
    return Rounded(human(number, unit), f"{whole} {unit}".strip())


@dataclass(frozen=True)
class Table:
    """Rows under columns.

    Parameters
    ----------
    columns : tuple of str
        Their names.
    rows : sequence of tuple of Cell
        What stands in them.
    caption : str
        What the rows are.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    caption: str = ""

    @property
    def formulas(self) -> Iterator[Expr]:
        """All formulas in cells."""
        return (entry for row in self.rows for entry in row if isinstance(entry, sp.Expr))

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each column holds numbers only."""
        return tuple(
            all(isinstance(row[at], Rounded) for row in self.rows)
            for at in range(len(self.columns))
        )


@dataclass(frozen=True)
class Sheet:
    """What something shows of itself: a title, tables, and notes behind them."""

    title: str
    tables: Sequence[Table]
    notes: Sequence[str] = ()


class Displayed(ABC):
    """What notebooks show as tables and formulas."""

    @abstractmethod
    def sheet(self) -> Sheet:
        """What is shown, in whatever format."""

    def _repr_html_(self) -> str:
        return sheet_html(self.sheet())

    def _repr_markdown_(self) -> str:
        return sheet_markdown(self.sheet())

    def _repr_latex_(self) -> str:
        return sheet_latex(self.sheet())


def cell_text(entry: Cell) -> str:
    """What stands in a cell as plain text."""
    if isinstance(entry, Rounded):
        return entry.text
    return entry if isinstance(entry, str) else formulas.text(entry)


_LONG = 120
"""Signs of a formula that stand in a table; the groups behind them are folded or left out."""
_ROWS = 40
"""Rows of a table that Markdown and LaTeX show."""


def _kept(formula: Expr) -> tuple[int, int]:
    """How many groups of a formula stand in a table, and how many there are."""
    lengths = [len(group) for group in formulas.text_groups(formula)]
    kept = sum(sum(lengths[: i + 1]) <= _LONG for i in range(len(lengths)))
    return kept, len(lengths)


def _symbols(tables: Iterable[Table]) -> dict[sp.Symbol, str]:
    """What the symbols in tables stand for, of those that the catalogue has."""
    found = {s for table in tables for formula in table.formulas for s in formula.free_symbols}
    return {x.symbol: x.meaning for x in CATALOGUE.values() if x.symbol in found}


def sheet_html(sheet: Sheet) -> str:
    """A sheet as HTML; long tables and the ends of long formulas are folded."""
    meanings = [f"{formulas.html(s)}: {escape(told)}" for s, told in _symbols(sheet.tables).items()]
    notes = [*meanings, *map(escape, sheet.notes)]
    return "\n".join(
        [
            f"<div><b>{escape(sheet.title)}</b></div>",
            *map(_table_html, sheet.tables),
            *(["<ul>", *(f"<li>{note}</li>" for note in notes), "</ul>"] if notes else []),
        ]
    )


def _table_html(table: Table) -> str:
    sides = ["right" if numeric else "left" for numeric in table.numeric]

    def line(kind: str, cells: Iterable[tuple[str, str]]) -> str:
        styled = (
            f'<{kind} style="text-align: {side}"{title}>{content}</{kind}>'
            for side, (content, title) in zip(sides, cells, strict=True)
        )
        return f"<tr>{''.join(styled)}</tr>"

    heads = line("th", ((escape(name), "") for name in table.columns))
    rows = "\n".join(line("td", map(_cell_html, row)) for row in table.rows)
    shown = f"<table>\n<thead>{heads}</thead>\n<tbody>\n{rows}\n</tbody>\n</table>"
    if not table.caption:
        return shown
    folded = "" if len(table.rows) > _ROWS else " open"
    return f"<details{folded}><summary>{escape(table.caption)}</summary>\n{shown}\n</details>"


def _cell_html(entry: Cell) -> tuple[str, str]:
    """What stands in a cell, and the attribute that shows all of a number."""
    if isinstance(entry, Rounded):
        return escape(entry.text).replace(" ", "&nbsp;"), f' title="{escape(entry.exact)}"'
    if isinstance(entry, sp.Expr):
        return _formula_html(entry), ""
    name = entry.lstrip()
    return "&nbsp;" * 2 * (len(entry) - len(name)) + escape(name), ""


def _formula_html(formula: Expr) -> str:
    kept, count = _kept(formula)
    if kept == count:
        return formulas.html(formula)
    start = formulas.joined([*formulas.html_groups(formula)[:kept], _more(count - kept)])
    return f"<details><summary>{start}</summary>{formulas.html(formula)}</details>"


def _more(groups: int) -> str:
    return f"… ({groups} more {'term' if groups == 1 else 'terms'})"


def sheet_markdown(sheet: Sheet) -> str:
    """A sheet as Markdown with math between dollars."""
    lines = [f"**{_plain(sheet.title)}**", ""]
    for table in sheet.tables:
        lines += [f"{_plain(table.caption)}:", ""] if table.caption else []
        aligned = ("---:" if numeric else "---" for numeric in table.numeric)
        lines += [f"| {' | '.join(table.columns)} |", f"| {' | '.join(aligned)} |"]
        for row in table.rows[:_ROWS]:
            lines.append(f"| {' | '.join(map(_cell_markdown, row))} |")
        lines.append("")
    symbols = _symbols(sheet.tables).items()
    notes = [f"${formulas.latex(s)}$: {_plain(told)}" for s, told in symbols]
    notes += map(_plain, [*sheet.notes, *_left_out(sheet)])
    return "\n".join([*lines, *(f"* {note}" for note in notes)]) + "\n"


def _plain(words: str) -> str:
    """Words in which Markdown finds no marks."""
    for mark in r"\`*_{}[]<>#|$":
        words = words.replace(mark, f"\\{mark}")
    return words


def _cell_markdown(entry: Cell) -> str:
    if isinstance(entry, Rounded):
        return entry.text.replace(" ", "&nbsp;")
    if isinstance(entry, str):
        name = entry.lstrip()
        return "&nbsp;" * 2 * (len(entry) - len(name)) + _plain(name)
    return f"${_formula_latex(entry)}$"


def _formula_latex(formula: Expr) -> str:
    kept, count = _kept(formula)
    groups = formulas.latex_groups(formula)
    if kept < count:
        groups = [*groups[:kept], rf"\ldots\ \text{{({_more(count - kept)[3:-1]})}}"]
    return formulas.joined(groups)


def _left_out(sheet: Sheet) -> Iterator[str]:
    """What Markdown and LaTeX leave out, a line each."""
    for table in sheet.tables:
        if (more := len(table.rows) - _ROWS) > 0:
            yield f"{more} more rows are left out"
    if any(kept < count for table in sheet.tables for kept, count in map(_kept, table.formulas)):
        yield "symcost.formulas.text has all terms of a formula"


def sheet_latex(sheet: Sheet) -> str:
    """A sheet as displayed math, a line below the other."""
    tables = map(_table_latex, sheet.tables)
    lines = [_text_latex(sheet.title), *tables, *map(_text_latex, _left_out(sheet))]
    return f"$\\displaystyle {_array('l', lines)}$"


def _table_latex(table: Table) -> str:
    rows = [tuple(map(_text_latex, table.columns))]
    rows += [tuple(map(_cell_latex, row)) for row in table.rows[:_ROWS]]
    sides = "".join("r" if numeric else "l" for numeric in table.numeric)
    return _array(sides, [" & ".join(row) for row in rows])


def _array(columns: str, lines: Iterable[str]) -> str:
    body = " \\\\\n".join(lines)
    return f"\\begin{{array}}{{{columns}}}\n{body}\n\\end{{array}}"


def _cell_latex(entry: Cell) -> str:
    if isinstance(entry, sp.Expr):
        return _formula_latex(entry)
    if isinstance(entry, Rounded):
        return _text_latex(entry.text)
    name = entry.lstrip()
    return r"\quad " * ((len(entry) - len(name)) // 2) + _text_latex(name)


_SIGNS = re.compile(r"([#$%&_{}\\^~])")
_SHOWN = {"\\": r"\backslash ", "^": r"\wedge ", "~": r"\sim "}


def _text_latex(words: str) -> str:
    """Words in math; signs that mean something to TeX stand for themselves."""
    return "".join(
        (_SHOWN.get(part, f"\\{part}") if _SIGNS.fullmatch(part) else rf"\text{{{part}}}")
        for part in _SIGNS.split(words)
        if part
    )
