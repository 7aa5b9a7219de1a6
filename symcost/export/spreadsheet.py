"""Figures as a workbook with live formulas: whoever changes a size sees all figures change."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

import sympy as sp

from symcost.cost import METRICS
from symcost.errors import InputError
from symcost.exact import Bindings, Evaluator, Number
from symcost.export.doubles import LARGEST, SIXTY_FOURTHS, Doubles, quotient, size_bounds, step
from symcost.export.naming import Name, symbols_of
from symcost.formulas import text
from symcost.symbols import CATALOGUE, Expr, SymbolInfo

_CHARACTERS = 8000
"""A cell's formula has at most 8192 characters."""
_ARGUMENTS = 200
"""A function has at most 255 arguments."""
_DIGITS = 10**15
"""Programs keep 15 digits of a number in a formula."""
_FACTORS = 8
"""The largest power that is written as a product."""

_README = (
    "Change the values on the sheet `sizes`: the sheets of the stages show what they cost.",
    "A figure can be used in formulas of your own by its name, such as prefill.flops.",
    "Programs compute in doubles. `exact` beside a figure says that its value is the exact one, "
    "which it is below the limit that stands there; `rounded`, that it has lost digits; "
    "`no size`, that a size is outside its domain.",
    "Cells show 15 digits: from 10^15 on, the last digits of an exact value are not shown.",
    "`terms` holds parts of formulas, `tables` what doubles cannot compute exactly.",
)


def export_xlsx(figures: Mapping[str, Expr], title: str, sizes: Bindings) -> bytes:
    """A workbook: sizes to change, and a sheet of live formulas for each stage.

    Parameters
    ----------
    figures : mapping of str to sympy.Expr
        By name, such as "prefill.decoder.bytes_read".
    title : str
        What the figures are of.
    sizes : mapping of sympy.Symbol to int or Fraction
        What the sizes are at first; the smallest ones where none is given.

    Raises
    ------
    InputError
        A figure cannot be computed exactly in doubles, or XlsxWriter is not installed.
    """
    try:
        import xlsxwriter  # noqa: PLC0415 - an extra
    except ImportError:
        raise InputError(
            "a workbook needs XlsxWriter; install it with: pip install 'symcost[xlsx]'"
        ) from None
    written = io.BytesIO()
    book = xlsxwriter.Workbook(written, {"in_memory": True})
    book.set_properties({"title": title, "created": datetime(2000, 1, 1)})  # noqa: DTZ001
    _Workbook(book, figures, title, sizes).write()
    book.close()
    return written.getvalue()


class _Workbook:
    def __init__(
        self, book: Any, figures: Mapping[str, Expr], title: str, sizes: Bindings
    ) -> None:
        self._book = book
        self._figures = {Name.of(name): formula for name, formula in figures.items()}
        self._title = title
        infos = symbols_of(figures.values())
        self._sizes = {
            info: Fraction(sizes.get(info.symbol, size_bounds(info)[0])) for info in infos
        }
        self._names = _cell_names(infos)
        self._value = Evaluator({info.symbol: value for info, value in self._sizes.items()})
        self._tables = {
            node: values for formula in figures.values() for node, values in _tables_of(formula)
        }
        self._terms: dict[Expr | str, tuple[str, str, Number]] = {}
        """By what a cell holds: its name, its formula and its first value."""
        self._bold = book.add_format({"bold": True})
        self._plain = book.add_format({"text_wrap": True, "valign": "top"})
        self._input = book.add_format({"bg_color": "#FFF2CC", "border": 1, "locked": False})
        self._number = book.add_format({"num_format": "#,##0.######"})
        self._whole = book.add_format({"num_format": "#,##0"})

    def write(self) -> None:
        readme = self._sheet("read me", (100,), (self._title,))
        for row, line in enumerate(_README, 2):
            readme.write_string(row, 0, line, self._plain)
        self._write_sizes()
        columns = ("part", "metric", "unit", "value", "is", "exact below", "meaning")
        sheets: dict[str, Any] = {}
        rows: dict[str, int] = {}
        for name, formula in self._figures.items():
            if name.stage not in sheets:
                widths = (18, 18, 8, 24, 10, 24, 50)
                sheets[name.stage] = self._sheet(name.stage, widths, columns)
            rows[name.stage] = row = rows.get(name.stage, 0) + 1
            self._write_figure(sheets[name.stage], row, name, formula)
        if self._terms:
            self._write_terms()
        if self._tables:
            self._write_tables()

    def _sheet(self, name: str, widths: Sequence[int], columns: Sequence[str]) -> Any:
        sheet = self._book.add_worksheet(name)
        for column, (width, head) in enumerate(zip(widths, columns, strict=True)):
            sheet.set_column(column, column, width)
            sheet.write_string(0, column, head, self._bold)
        sheet.freeze_panes(1, 0)
        return sheet

    def _write_sizes(self) -> None:
        widths, columns = (10, 16, 60, 12, 60, 10), ("size", "value", "meaning", "unit", "domain")
        sheet = self._sheet("sizes", widths, (*columns, "allowed"))
        for row, (info, value) in enumerate(self._sizes.items(), 1):
            least, most = size_bounds(info)
            here, each = f"$B${row + 1}", step(info)
            whole = f"MOD({here}*{each.denominator},{each.numerator})=0"
            allowed = f"AND(ISNUMBER({here}),{here}>={float(least)!r},{here}<={most},{whole})"
            kind = info.domain if info.integer else f"positive multiple of 1/{SIXTY_FOURTHS}"
            for column, shown in enumerate((self._names[info.symbol], None, info.meaning)):
                if shown is not None:
                    sheet.write_string(row, column, shown)
            sheet.write_number(row, 1, float(value), self._input)
            sheet.write_string(row, 3, info.unit)
            sheet.write_string(row, 4, f"{kind}, at most {LARGEST}")
            sheet.write_formula(row, 5, f"={allowed}", None, least <= value <= most)
            sheet.data_validation(
                row,
                1,
                row,
                1,
                {
                    "validate": "custom",
                    "value": f"={allowed}",
                    "error_title": self._names[info.symbol],
                    "error_message": f"Allowed: a {kind}, at most {LARGEST}.",
                },
            )
            self._book.define_name(self._names[info.symbol], f"=sizes!{here[:2]}${row + 1}")
        end = len(self._sizes) + 1
        given = f"AND(sizes!$F$2:$F${end})" if self._sizes else "TRUE"
        sheet.write_string(end, 4, "all sizes are allowed", self._bold)
        sheet.write_formula(end, 5, f"={given}", self._bold, True)
        self._book.define_name("sizes_allowed", f"=sizes!$F${end + 1}")

    def _write_figure(self, sheet: Any, row: int, name: Name, formula: Expr) -> None:
        full = ".".join(part for part in (name.stage, name.part, name.metric) if part)
        judged = Doubles(full, self._tables)(formula)
        written, value = self._written(full, formula), self._value(formula)
        limit = judged.limit if judged.unit < 0 else Fraction(2**judged.bits)
        for column, shown in enumerate((name.part or "all", name.metric, name.unit)):
            sheet.write_string(row, column, shown)
        power = limit.numerator.bit_length() - 1
        verdict = f'IF(sizes_allowed,IF(D{row + 1}<F{row + 1},"exact","rounded"),"no size")'
        sheet.write_formula(row, 3, f"={written}", self._number, float(value))
        sheet.write_formula(row, 4, f"={verdict}", None, "exact" if value < limit else "rounded")
        sheet.write_formula(row, 5, f"=2^{power}", self._whole, float(limit))
        sheet.write_string(row, 6, METRICS[name.metric])
        self._book.define_name(full, f"='{name.stage}'!$D${row + 1}")

    def _written(self, figure: str, formula: Expr) -> str:
        """A cell's formula, without the sign of equality."""
        shown = self._as_cells(figure, formula)
        return shown if len(shown) <= _CHARACTERS else self._refuse(figure, formula)

    def _refuse(self, figure: str, formula: Expr) -> str:
        raise InputError(f"figure {figure} has a part too long for a cell: {str(formula)[:60]}…")

    def _as_cells(self, figure: str, formula: Expr, *, inside: bool = False) -> str:
        """A formula in the names of cells; what is inside others and does not add is a term."""
        if formula in self._tables:
            return self._term(formula, lambda: self._looked_up(figure, formula))
        if isinstance(formula, sp.Rational):
            return _number_text(formula)
        if isinstance(formula, sp.Symbol):
            return self._names[formula]
        if isinstance(formula, sp.Add):
            terms = sorted(formula.args, key=lambda term: term.could_extract_minus_sign())
            return self._joined(figure, terms, "", "+", sum)
        if isinstance(formula, sp.Mul):
            return self._product(figure, formula)
        if isinstance(formula, sp.Pow):
            base, exponent = formula.args
            if exponent > _FACTORS:
                self._refuse(figure, formula)
            factor = self._factor(figure, base)
            return "*".join([factor] * int(exponent))
        if inside:
            return self._term(formula, lambda: self._function(figure, formula))
        return self._function(figure, formula)

    def _function(self, figure: str, formula: Expr) -> str:
        if isinstance(formula, sp.Min | sp.Max):
            name, choose = ("MIN", min) if isinstance(formula, sp.Min) else ("MAX", max)
            return self._joined(figure, list(formula.args), name, ",", choose)
        if isinstance(formula, sp.Abs):
            return f"ABS({self._as_cells(figure, formula.args[0], inside=True)})"
        above, below = quotient(formula.args[0])
        divided = self._factor(figure, above) + (f"/{below}" if below != 1 else "")
        return f"INT({divided})" if isinstance(formula, sp.floor) else f"-INT(-({divided}))"

    def _product(self, figure: str, formula: Expr) -> str:
        number, rest = formula.as_coeff_Mul()
        above, below = abs(int(number.p)), int(number.q)
        sign = "-" if number < 0 else ""
        factors = [self._factor(figure, factor) for factor in sp.Mul.make_args(rest)]
        if above != 1:
            factors.insert(0, _number_text(sp.Integer(above)))
        return sign + "*".join(factors) + (f"/{below}" if below != 1 else "")

    def _factor(self, figure: str, formula: Expr) -> str:
        """A factor of a product; a sum that is one becomes a term."""
        if isinstance(formula, sp.Add):
            return self._term(formula, lambda: self._as_cells(figure, formula))
        return self._as_cells(figure, formula, inside=True)

    def _joined(
        self,
        figure: str,
        operands: Sequence[Expr],
        function: str,
        joint: str,
        combine: Callable[[list[Number]], Number],
    ) -> str:
        """Operands in one formula; where that is too long, in several cells."""
        pieces = [
            (self._as_cells(figure, operand, inside=bool(joint)), self._value(operand))
            for operand in operands
        ]
        while len(pieces) > 1 and not _fits(pieces):
            shorter: list[tuple[str, Number]] = []
            for packed in _packed(pieces):
                joined = _join([shown for shown, _ in packed], function, joint)
                value = combine([amount for _, amount in packed])
                shorter.append((self._cell(joined, joined, value), value))
            pieces = shorter
        return _join([shown for shown, _ in pieces], function, joint)

    def _term(self, formula: Expr, write: Callable[[], str]) -> str:
        """The name of the cell that holds a part of formulas."""
        if formula in self._terms:
            return self._terms[formula][0]
        return self._cell(formula, write(), self._value(formula))

    def _cell(self, key: Expr | str, written: str, value: Number) -> str:
        if key not in self._terms:
            if len(written) > _CHARACTERS:
                raise InputError(f"a part is too long for a cell: {written[:60]}…")
            self._terms[key] = (f"term_{len(self._terms) + 1}", written, value)
        return self._terms[key][0]

    def _looked_up(self, figure: str, node: Expr) -> str:
        position = list(self._tables).index(node)
        count = _power_of(node).exp
        column = _letter(position + 1)
        rows = len(self._tables[node])
        index = self._as_cells(figure, count, inside=True)
        return f"INDEX(tables!${column}$2:${column}${rows + 1},{index})"

    def _write_terms(self) -> None:
        sheet = self._sheet("terms", (12, 24, 100), ("term", "value", "stands for"))
        for row, (key, (name, written, value)) in enumerate(self._terms.items(), 1):
            sheet.write_string(row, 0, name)
            sheet.write_formula(row, 1, f"={written}", self._number, float(value))
            shown = key if isinstance(key, str) else text(key)
            sheet.write_string(row, 2, shown if len(shown) <= 1000 else shown[:999] + "…")
            self._book.define_name(name, f"=terms!$B${row + 1}")

    def _write_tables(self) -> None:
        columns = ("row", *(text(_power_of(node).exp) for node in self._tables))
        sheet = self._sheet("tables", (8, *(24 for _ in self._tables)), columns)
        for column, values in enumerate(self._tables.values(), 1):
            for row, value in enumerate(values, 1):
                sheet.write_number(row, 0, row)
                sheet.write_number(row, column, value, self._whole)


def _fits(pieces: Sequence[tuple[str, Number]]) -> bool:
    return len(pieces) <= _ARGUMENTS and sum(len(p) + 1 for p, _ in pieces) + 10 <= _CHARACTERS


def _packed(pieces: Sequence[tuple[str, Number]]) -> list[list[tuple[str, Number]]]:
    """Pieces in order, as few groups as fit into a cell each."""
    groups: list[list[tuple[str, Number]]] = [[]]
    for piece in pieces:
        if groups[-1] and not _fits([*groups[-1], piece]):
            groups.append([])
        groups[-1].append(piece)
    return groups


def _join(shown: Sequence[str], function: str, joint: str) -> str:
    if function:
        return f"{function}({joint.join(shown)})"
    return shown[0] + "".join(s if s.startswith("-") else joint + s for s in shown[1:])


def _tables_of(formula: Expr) -> list[tuple[Expr, tuple[int, ...]]]:
    """Roundings of powers whose exponent is a size, with their values for each exponent."""
    found = []
    for node in sp.preorder_traversal(formula):
        if not isinstance(node, sp.floor | sp.ceiling) or node.args[0].has(sp.floor, sp.ceiling):
            continue
        powers = [power for power in node.atoms(sp.Pow) if not power.exp.is_Integer]
        if not powers:
            continue
        exponent = powers[0].exp
        most = next((a for a in exponent.args if a.is_Integer), None)
        if not isinstance(exponent, sp.Min) or most is None or len(powers) > 1:
            continue
        values = [node.xreplace({exponent: sp.Integer(count)}) for count in range(1, most + 1)]
        if all(value.is_Integer for value in values):
            found.append((node, tuple(int(value) for value in values)))
    return found


def _power_of(node: Expr) -> Expr:
    return next(power for power in node.atoms(sp.Pow) if not power.exp.is_Integer)


def _cell_names(infos: Sequence[SymbolInfo]) -> dict[sp.Symbol, str]:
    """Names of cells: case makes no difference there, and R and C are taken."""
    taken = {"r", "c"}
    names = {}
    for info in infos:
        name = info.name
        while name.lower() in taken:
            name += "_"
        taken.add(name.lower())
        names[info.symbol] = name
    return names


def _number_text(number: sp.Rational) -> str:
    """A number that a formula holds exactly."""
    above, below = int(number.p), int(number.q)
    sign, high, low = "-" if above < 0 else "", *divmod(abs(above), _DIGITS)
    shown = f"({high}*{_DIGITS // 10}*10+{low})" if high else str(low)
    return sign + shown + (f"/{below}" if below != 1 else "")


def _letter(column: int) -> str:
    """The letters of a column, the first of which has number 0."""
    shown = ""
    while column >= 0:
        shown = chr(ord("A") + column % 26) + shown
        column = column // 26 - 1
    return shown
