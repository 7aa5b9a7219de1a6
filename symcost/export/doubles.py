"""Where arithmetic in doubles is exact: what a spreadsheet may compute, and up to which value.

A double holds 53 bits. A node of a formula is a whole number of units, where a unit is a power of
two. What adds and multiplies such numbers that are not negative has an exact value wherever the
computed one is below 2^53 units: sums and products only grow, so a part that was rounded shows in
the result. `Node` holds what is needed to say so of any formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from symcost.errors import InputError
from symcost.symbols import Expr, SymbolInfo, info_of

LARGEST = 10**9
"""The largest size that a workbook takes."""
SIXTY_FOURTHS = 64
"""A size that is no integer, such as bytes per weight, is a whole number of these parts of one."""

_BITS = 53
_SMALL_BITS = 46
"""What is rounded, or taken from others, has fewer bits: programs may snap the last five."""


@dataclass(frozen=True)
class Node:
    """What is known of a part of a formula while all sizes lie in their domains.

    Parameters
    ----------
    least, most : Fraction
        Bounds of its value.
    unit : int
        It is a whole number of 2^unit.
    bits : int
        A computed value below 2^bits units is exact; one that is not comes from larger ones.
    """

    least: Fraction
    most: Fraction
    unit: int
    bits: int = _BITS

    def __post_init__(self) -> None:
        if self.fixed:
            object.__setattr__(self, "bits", _BITS)

    @property
    def fixed(self) -> bool:
        """Whether every value is exact."""
        return max(abs(self.least), abs(self.most)) < self.limit

    @property
    def limit(self) -> Fraction:
        """Computed values below it are exact."""
        return Fraction(2) ** (self.bits + self.unit)


def size_bounds(info: SymbolInfo) -> tuple[Fraction, Fraction]:
    """The least value of a size and the largest one that a workbook takes."""
    each = step(info)
    least = -(-info.minimum // each) * each if info.integer else each
    return least, LARGEST // each * each


def step(info: SymbolInfo) -> Fraction:
    """What every value of a size is a multiple of."""
    return Fraction(info.multiple_of) if info.integer else Fraction(1, SIXTY_FOURTHS)


class Doubles:
    """Judges the parts of one figure.

    Parameters
    ----------
    name : str
        The figure, for errors.
    tables : mapping of sympy.Expr to tuple of int
        Parts whose values are looked up.
    """

    def __init__(self, name: str, tables: Mapping[Expr, tuple[int, ...]]) -> None:
        self._name = name
        self._tables = tables
        self._known: dict[Expr, Node] = {}

    def __call__(self, formula: Expr) -> Node:
        """What is known of a part.

        Raises
        ------
        InputError
            A spreadsheet cannot compute it exactly.
        """
        if formula not in self._known:
            self._known[formula] = self._judge(formula)
        return self._known[formula]

    def _judge(self, formula: Expr) -> Node:
        if formula in self._tables:
            values = self._tables[formula]
            if not self(counted(formula)).fixed:
                raise self._refusal(formula)
            return Node(Fraction(min(values)), Fraction(max(values)), 0)
        if isinstance(formula, sp.Rational):
            return self._number(formula)
        if isinstance(formula, sp.Symbol):
            info = info_of(formula)
            least, most = size_bounds(info)
            return Node(least, most, _unit(step(info)))
        judge = _JUDGES.get(formula.func)
        if judge is None or not formula.args:
            raise self._refusal(formula)
        return judge(self, formula)

    def _number(self, number: sp.Rational) -> Node:
        value = Fraction(int(number.p), int(number.q))
        node = Node(value, value, _unit(value) if value else 0)
        if value.denominator & (value.denominator - 1) or not node.fixed:
            raise self._refusal(number)
        return node

    def _sum(self, formula: Expr) -> Node:
        terms = [self(term) for term in formula.args]
        unit, bits = _together(terms)
        taken = sum((max(Fraction(0), -term.least) for term in terms), Fraction(0))
        if taken:
            bits -= 1
            if taken >= Fraction(2) ** (min(bits, _SMALL_BITS) + unit):
                raise self._refusal(formula)
        least, most = (sum((getattr(t, end) for t in terms), Fraction(0)) for end in _ENDS)
        return Node(least, most, unit, bits)

    def _product(self, formula: Expr) -> Node:
        return self._times(formula, [self(factor) for factor in formula.args])

    def _times(self, formula: Expr, factors: list[Node]) -> Node:
        least = most = Fraction(1)
        for factor in factors:
            ends = [a * b for a in (least, most) for b in (factor.least, factor.most)]
            least, most = min(ends), max(ends)
        unit = sum(factor.unit for factor in factors)
        node = Node(least, most, unit, min(factor.bits for factor in factors))
        if min(factor.least for factor in factors) < 0 and not node.fixed:
            raise self._refusal(formula)
        return node

    def _power(self, formula: Expr) -> Node:
        base, exponent = formula.args
        if not (exponent.is_Integer and exponent > 0):
            raise self._refusal(formula)
        return self._times(formula, [self(base)] * int(exponent))

    def _extreme(self, formula: Expr) -> Node:
        choose: Callable[..., Fraction] = min if isinstance(formula, sp.Min) else max
        choices = [self(argument) for argument in formula.args]
        unit, bits = _together(choices)
        least, most = (choose(getattr(c, end) for c in choices) for end in _ENDS)
        return Node(least, most, unit, bits)

    def _magnitude(self, formula: Expr) -> Node:
        (inner,) = (self(argument) for argument in formula.args)
        if not inner.fixed:
            raise self._refusal(formula)
        least = max(Fraction(0), inner.least, -inner.most)
        return Node(least, max(abs(inner.least), abs(inner.most)), inner.unit, inner.bits)

    def _rounded(self, formula: Expr) -> Node:
        above, below = quotient(formula.args[0])
        inner = self(above)
        parts = below * 2 ** max(0, -inner.unit)
        bits = min(_SMALL_BITS, inner.bits) - (parts - 1).bit_length()
        if inner.least < 0 or bits < 1:
            raise self._refusal(formula)
        turn = math.floor if isinstance(formula, sp.floor) else math.ceil
        least, most = Fraction(turn(inner.least / below)), Fraction(turn(inner.most / below))
        return Node(least, most, 0, bits)

    def _refusal(self, formula: Expr) -> InputError:
        part = str(formula)
        shown = part if len(part) <= 60 else part[:59] + "…"
        return InputError(
            f"figure {self._name} has {shown}, which a spreadsheet's doubles cannot hold exactly; "
            "export it as python, json or latex"
        )


_ENDS = ("least", "most")

_JUDGES: dict[type[sp.Basic], Callable[[Doubles, Expr], Node]] = {
    sp.Add: Doubles._sum,
    sp.Mul: Doubles._product,
    sp.Pow: Doubles._power,
    sp.Min: Doubles._extreme,
    sp.Max: Doubles._extreme,
    sp.Abs: Doubles._magnitude,
    sp.floor: Doubles._rounded,
    sp.ceiling: Doubles._rounded,
}


def quotient(formula: Expr) -> tuple[Expr, int]:
    """A formula as another one over an integer, which is no power of two where that can be."""
    above, below = sp.fraction(sp.together(formula))
    return (above, int(below)) if below.is_Integer else (formula, 1)


def tables_of(formula: Expr) -> list[tuple[Expr, tuple[int, ...]]]:
    """Roundings of powers whose exponent is a size, with their values for each exponent."""
    found = []
    for node in sp.preorder_traversal(formula):
        if not isinstance(node, sp.floor | sp.ceiling) or node.args[0].has(sp.floor, sp.ceiling):
            continue
        exponents = {power.exp for power in node.atoms(sp.Pow) if not power.exp.is_Integer}
        if len(exponents) != 1:
            continue
        (exponent,) = exponents
        if not (isinstance(exponent, sp.Min) and exponent.is_integer and exponent.is_positive):
            continue
        most = min((int(limit) for limit in exponent.args if limit.is_Integer), default=0)
        values = [node.xreplace({exponent: sp.Integer(count)}) for count in range(1, most + 1)]
        if values and all(value.is_Integer for value in values):
            found.append((node, tuple(int(value) for value in values)))
    return found


def counted(node: Expr) -> Expr:
    """The size that says which value of a table is looked up, counted from 1."""
    return next(power.exp for power in node.atoms(sp.Pow) if not power.exp.is_Integer)


def _together(nodes: list[Node]) -> tuple[int, int]:
    """The unit of several nodes, and bits that hold for all of them in that unit."""
    unit = min(node.unit for node in nodes)
    return unit, min(_BITS, *(node.bits + node.unit - unit for node in nodes))


def _unit(value: Fraction) -> int:
    """The power of two in a number."""
    above, below = abs(value.numerator), value.denominator
    return (above & -above).bit_length() - below.bit_length()
