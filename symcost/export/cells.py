"""Formulas in the language of spreadsheets: names of cells, products and roundings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import sympy as sp

from symcost.errors import InputError
from symcost.exact import Evaluator, Number
from symcost.export.doubles import counted, quotient
from symcost.symbols import Expr, SymbolInfo

_CHARACTERS = 8000
"""A cell's formula has at most 8192 characters."""
_ARGUMENTS = 200
"""A function has at most 255 arguments."""
_DIGITS = 10**15
"""Programs keep 15 digits of a number in a formula."""


class Cells:
    """Writes formulas; parts of them stand in cells of their own, each once.

    Parameters
    ----------
    names : mapping of sympy.Symbol to str
        The cells of the sizes.
    tables : mapping of sympy.Expr to tuple of int
        Parts whose values are looked up, in the order of their columns behind the first one.
    value : Evaluator
        What formulas are at first.
    """

    def __init__(
        self,
        names: Mapping[sp.Symbol, str],
        tables: Mapping[Expr, tuple[int, ...]],
        value: Evaluator,
    ) -> None:
        self._names = names
        self._tables = tables
        self._value = value
        self.terms: dict[Expr | str, tuple[str, str, Number]] = {}
        """By what a cell holds: its name, its formula and its first value."""

    def write(self, formula: Expr) -> str:
        """A formula for a cell, without the sign of equality.

        Raises
        ------
        InputError
            A part is too long for a cell.
        """
        if formula in self._tables:
            return self._looked_up(formula)
        if isinstance(formula, sp.Rational):
            return number_text(Fraction(int(formula.p), int(formula.q)))
        if isinstance(formula, sp.Symbol):
            return self._names[formula]
        written = _WRITERS[formula.func](self, formula)
        if len(written) > _CHARACTERS:
            raise InputError(f"a part is too long for a cell of a spreadsheet: {written[:60]}…")
        return written

    def _sum(self, formula: Expr) -> str:
        terms = sorted(formula.args, key=lambda term: bool(term.could_extract_minus_sign()))
        return self._joined(terms, "", "+", sum)

    def _product(self, formula: Expr) -> str:
        number, rest = formula.as_coeff_Mul()
        above, below = abs(int(number.p)), int(number.q)
        factors = [self._factor(factor) for factor in sp.Mul.make_args(rest)]
        if above != 1:
            factors.insert(0, number_text(above))
        sign = "-" if number < 0 else ""
        return sign + "*".join(factors) + (f"/{below}" if below != 1 else "")

    def _power(self, formula: Expr) -> str:
        """A product: programs may round powers."""
        base, exponent = formula.args
        return "*".join([self._factor(base)] * int(exponent))

    def _least(self, formula: Expr) -> str:
        return self._joined(formula.args, "MIN", ",", min)

    def _most(self, formula: Expr) -> str:
        return self._joined(formula.args, "MAX", ",", max)

    def _magnitude(self, formula: Expr) -> str:
        return f"ABS({self.write(formula.args[0])})"

    def _floor(self, formula: Expr) -> str:
        return f"INT({self._quotient(formula)})"

    def _ceiling(self, formula: Expr) -> str:
        return f"-INT(-({self._quotient(formula)}))"

    def _quotient(self, formula: Expr) -> str:
        above, below = quotient(formula.args[0])
        return self._factor(above) + (f"/{below}" if below != 1 else "")

    def _factor(self, formula: Expr) -> str:
        """What stands in a product; a sum has a cell of its own."""
        return self._term(formula) if isinstance(formula, sp.Add) else self._operand(formula)

    def _operand(self, formula: Expr) -> str:
        """What stands in a sum or a function; what is looked up, chosen or rounded has a cell."""
        plain = isinstance(formula, sp.Rational | sp.Symbol | sp.Add | sp.Mul | sp.Pow)
        return self.write(formula) if plain else self._term(formula)

    def _joined(
        self,
        operands: Sequence[Expr],
        function: str,
        joint: str,
        combine: Callable[[list[Number]], Number],
    ) -> str:
        """Operands in one formula; where that is too long, in several cells."""
        pieces = [(self._operand(operand), self._value(operand)) for operand in operands]
        while len(pieces) > 1 and not _fits(pieces):
            shorter: list[tuple[str, Number]] = []
            for packed in _packed(pieces):
                joined = _join([shown for shown, _ in packed], function, joint)
                value = combine([amount for _, amount in packed])
                shorter.append((self._cell(joined, joined, value), value))
            pieces = shorter
        return _join([shown for shown, _ in pieces], function, joint)

    def _term(self, formula: Expr) -> str:
        """The name of the cell that holds a part of formulas."""
        if formula in self.terms:
            return self.terms[formula][0]
        return self._cell(formula, self.write(formula), self._value(formula))

    def _cell(self, key: Expr | str, written: str, value: Number) -> str:
        if key not in self.terms:
            self.terms[key] = (f"term_{len(self.terms) + 1}", written, value)
        return self.terms[key][0]

    def _looked_up(self, node: Expr) -> str:
        column = _letter(list(self._tables).index(node) + 1)
        index = self._operand(counted(node))
        return f"INDEX(tables!${column}$2:${column}${len(self._tables[node]) + 1},{index})"


_WRITERS: dict[type[sp.Basic], Callable[[Cells, Expr], str]] = {
    sp.Add: Cells._sum,
    sp.Mul: Cells._product,
    sp.Pow: Cells._power,
    sp.Min: Cells._least,
    sp.Max: Cells._most,
    sp.Abs: Cells._magnitude,
    sp.floor: Cells._floor,
    sp.ceiling: Cells._ceiling,
}


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


def cell_names(infos: Sequence[SymbolInfo]) -> dict[sp.Symbol, str]:
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


def number_text(number: Number) -> str:
    """A number that a formula holds exactly."""
    above, below = number.numerator, number.denominator
    sign, high, low = "-" if above < 0 else "", *divmod(abs(above), _DIGITS)
    shown = f"({high}*{_DIGITS}+{low})" if high else str(low)
    return sign + shown + (f"/{below}" if below != 1 else "")


def _letter(column: int) -> str:
    """The letters of a column, the first of which has number 0."""
    shown = ""
    while column >= 0:
        shown = chr(ord("A") + column % 26) + shown
        column = column // 26 - 1
    return shown
