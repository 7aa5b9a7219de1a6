"""Figures as a workbook with live formulas: whoever changes a size sees all figures change."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from symcost.cost import METRICS
from symcost.errors import InputError
from symcost.exact import Bindings, Evaluator
from symcost.export.cells import Cells, cell_names, number_text
from symcost.export.doubles import (
    LARGEST,
    SIXTY_FOURTHS,
    Doubles,
    counted,
    size_bounds,
    step,
    tables_of,
)
from symcost.export.naming import Name, symbols_of
from symcost.export.targets import About
from symcost.extras import library
from symcost.formulas import text
from symcost.symbols import Expr, SymbolInfo

_EXACT, _ROUNDED = "exact", "may be rounded"
_LETTERS = 100
"""The width of the first sheet."""

_README = (
    "Change the values on the sheet `sizes`: the sheets of the stages show what they cost.",
    "A figure can be used in formulas of your own by its name, such as prefill.flops.",
    "Programs compute in doubles. `exact` beside a figure says that its value is the exact one, "
    "which it is below the limit that stands there; `may be rounded`, that digits can be lost; "
    "`no size`, that a size is outside its domain.",
    "Cells show 15 digits: from 10^15 on, the last digits of an exact value are not shown.",
    "`terms` holds parts of formulas, `tables` what doubles cannot compute exactly.",
)


def export_xlsx(figures: Mapping[str, Expr], about: About, sizes: Bindings) -> bytes:
    """A workbook: sizes to change, and a sheet of live formulas for each stage.

    Parameters
    ----------
    figures : mapping of str to sympy.Expr
        By name, such as "prefill.decoder.bytes_read".
    about : About
        What the workbook says of itself.
    sizes : mapping of sympy.Symbol to int or Fraction
        What the sizes are at first; the smallest ones where none is given.

    Raises
    ------
    InputError
        A figure cannot be computed exactly in doubles, or XlsxWriter is not installed.
    """
    xlsxwriter = library("xlsxwriter", "xlsx")
    written = io.BytesIO()
    book = xlsxwriter.Workbook(written, {"in_memory": True})
    book.set_properties({"title": about.title, "created": datetime(2000, 1, 1)})  # noqa: DTZ001
    _Workbook(book, figures, about, sizes).write()
    book.close()
    return written.getvalue()


class _Workbook:
    def __init__(
        self, book: Any, figures: Mapping[str, Expr], about: About, sizes: Bindings
    ) -> None:
        self._book = book
        self._figures = {Name.of(name): formula for name, formula in figures.items()}
        self._about = about
        infos = symbols_of(figures.values())
        self._sizes = {
            info: Fraction(sizes.get(info.symbol, size_bounds(info)[0])) for info in infos
        }
        for info, value in self._sizes.items():
            _check(info, value)
        self._names = cell_names(infos)
        self._value = Evaluator({info.symbol: value for info, value in self._sizes.items()})
        self._tables = {
            node: values for formula in figures.values() for node, values in tables_of(formula)
        }
        self._cells = Cells(self._names, self._tables, self._value)
        self._bold = book.add_format({"bold": True})
        self._plain = book.add_format({"text_wrap": True, "valign": "top"})
        self._input = book.add_format({"bg_color": "#FFF2CC", "border": 1})
        self._number = book.add_format({"num_format": "#,##0.######"})
        self._apart = book.add_format({"indent": 1})
        self._whole = book.add_format({"num_format": "#,##0"})

    def write(self) -> None:
        readme = self._sheet("read me", (_LETTERS,), (self._about.title,))
        for row, line in enumerate((self._about.assumed, *_README), 2):
            readme.set_row(row, 15 * -(-len(line) // (_LETTERS - 10)))
            readme.write_string(row, 0, line, self._plain)
        self._write_sizes()
        columns = ("part", "metric", "unit", "value", "is", "exact below", "meaning")
        sheets: dict[str, Any] = {}
        rows: dict[str, int] = {}
        for name, formula in self._figures.items():
            if name.stage not in sheets:
                widths = (18, 18, 8, 24, 16, 12, 60)
                sheets[name.stage] = self._sheet(name.stage, widths, columns)
            rows[name.stage] = row = rows.get(name.stage, 0) + 1
            self._write_figure(sheets[name.stage], row, name, formula)
        if self._cells.terms:
            self._write_terms()
        if self._tables:
            self._write_tables()

    def _sheet(self, name: str, widths: Sequence[int], columns: Sequence[str]) -> Any:
        sheet = self._book.add_worksheet(name)
        for column, (width, head) in enumerate(zip(widths, columns, strict=True)):
            sheet.set_column(column, column, width)
            sheet.write_string(0, column, head, self._bold)
        sheet.freeze_panes(1, 0)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        return sheet

    def _write_sizes(self) -> None:
        widths, columns = (10, 16, 60, 12, 60, 10), ("size", "value", "meaning", "unit", "domain")
        sheet = self._sheet("sizes", widths, (*columns, "allowed"))
        for row, (info, value) in enumerate(self._sizes.items(), 1):
            least, most = size_bounds(info)
            here, each = f"$B${row + 1}", step(info)
            whole = f"MOD({here}*{each.denominator},{each.numerator})=0"
            allowed = f"AND(ISNUMBER({here}),{here}>={number_text(least)},{here}<={most},{whole})"
            name = self._names[info.symbol]
            texts = (name, info.meaning, info.unit, _allowed(info))
            for column, shown in zip((0, 2, 3, 4), texts, strict=True):
                sheet.write_string(row, column, shown, self._apart)
            sheet.write_number(row, 1, float(value), self._input)
            sheet.write_formula(row, 5, f"=IFERROR({allowed},FALSE)", None, True)
            rule = {"validate": "custom", "value": f"={allowed}", "error_title": name}
            sheet.data_validation(here, rule | {"error_message": f"Allowed: {_allowed(info)}."})
            self._book.define_name(name, f"=sizes!{here}")
        end = len(self._sizes) + 1
        given = f"AND(sizes!$F$2:$F${end})" if self._sizes else "TRUE"
        sheet.write_string(end, 4, "all sizes are allowed", self._bold)
        sheet.write_formula(end, 5, f"={given}", self._bold, True)
        self._book.define_name("sizes_allowed", f"=sizes!$F${end + 1}")

    def _write_figure(self, sheet: Any, row: int, name: Name, formula: Expr) -> None:
        full = ".".join(part for part in (name.stage, name.part, name.metric) if part)
        judged = Doubles(full, self._tables)(formula)
        written, value = self._cells.write(formula), self._value(formula)
        limit = min(judged.limit, Fraction(2**53))
        for column, shown in enumerate((name.part or "all", name.metric, name.unit)):
            sheet.write_string(row, column, shown)
        most = f"2^{limit.numerator.bit_length() - 1}"
        whether = f'IF(D{row + 1}<{most},"{_EXACT}","{_ROUNDED}")'
        verdict = f'IF(sizes_allowed,{whether},"no size")'
        given = f"=IF(sizes_allowed,{written},NA())"
        sheet.write_formula(row, 3, given, self._number, float(value))
        shown = _EXACT if value < limit else _ROUNDED
        sheet.write_formula(row, 4, f"={verdict}", self._apart, shown)
        sheet.write_string(row, 5, most)
        sheet.write_string(row, 6, METRICS[name.metric])
        self._book.define_name(full, f"='{name.stage}'!$D${row + 1}")

    def _write_terms(self) -> None:
        sheet = self._sheet("terms", (12, 24, 100), ("term", "value", "stands for"))
        for row, (key, (name, written, value)) in enumerate(self._cells.terms.items(), 1):
            sheet.write_string(row, 0, name)
            sheet.write_formula(row, 1, f"={written}", self._number, float(value))
            shown = key if isinstance(key, str) else text(key)
            sheet.write_string(row, 2, shown if len(shown) <= 1000 else shown[:999] + "…")
            self._book.define_name(name, f"=terms!$B${row + 1}")

    def _write_tables(self) -> None:
        columns = ("row", *(text(counted(node)) for node in self._tables))
        sheet = self._sheet("tables", (8, *(24 for _ in self._tables)), columns)
        for column, values in enumerate(self._tables.values(), 1):
            for row, value in enumerate(values, 1):
                sheet.write_number(row, 0, row)
                sheet.write_number(row, column, value, self._whole)


def _check(info: SymbolInfo, value: Fraction) -> None:
    least, most = size_bounds(info)
    if not least <= value <= most or value % step(info):
        raise InputError(
            f"{info.name} ({info.meaning}) is {value}; a workbook takes {_allowed(info)}"
        )


def _allowed(info: SymbolInfo) -> str:
    kind = info.domain if info.integer else f"positive multiple of 1/{SIXTY_FOURTHS}"
    return f"a {kind}, at most {LARGEST}"
