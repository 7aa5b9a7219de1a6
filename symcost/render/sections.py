"""Tables with headings, and how Markdown writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A table with a heading.

    Parameters
    ----------
    title : str
        The heading.
    columns : tuple of str
        The names of the columns; those after `words` hold numbers.
    rows : sequence of tuple of str
        The cells.
    words : int
        How many columns hold words.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    words: int


def sections_markdown(sections: Iterable[Section], summary: Iterable[str], title: str = "") -> str:
    """Tables, with what was asked before them if told, and what came out behind them."""
    lines = [f"{title}.", ""] if title else []
    for section in sections:
        lines += [f"**{section.title}**", "", *table_lines(section), ""]
    return "\n".join([*lines, *(f"* {line}" for line in summary)]) + "\n"


def table_lines(section: Section) -> Iterator[str]:
    """The lines of a table in Markdown."""
    aligned = ("---" if i < section.words else "---:" for i in range(len(section.columns)))
    yield "| " + " | ".join(section.columns) + " |"
    yield "| " + " | ".join(aligned) + " |"
    for row in section.rows:
        yield "| " + " | ".join(map(_indented, row)) + " |"


def _indented(cell: str) -> str:
    """A cell whose leading spaces Markdown does not drop."""
    text = cell.lstrip()
    return "&nbsp;" * 2 * (len(cell) - len(text)) + text
