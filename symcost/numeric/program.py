"""Figures as a list of steps, and what can be said of it: values, ranges, errors.

Each step makes one row of numbers from rows before it. Here a program is run on arrays, step by
step, and on the ranges of sizes; `symcost.numeric.machine` makes machine code of it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from symcost.numeric.forms import Atom, Figure, Forms, Kind, Polynomial, Term
from symcost.symbols import CATALOGUE

Ranges: TypeAlias = Mapping[str, tuple[int, int]]
"""The least and the greatest value of each size."""

INT64_LIMIT = 1 << 63
FLOAT64_LIMIT = 1 << 53
"""Whole numbers below it are exact in float64."""


class Op(Enum):
    """What a step does with its two operands a and b."""

    PRODUCT = auto()
    """Row a times row b."""
    SUM = auto()
    """The sum of the terms from a up to b: numbers times rows."""
    FLOOR = auto()
    """The whole part of row a over the number b."""
    QUOTIENT = auto()
    """Row a over the number b, which divides it."""
    LEAST = auto()
    GREATEST = auto()
    MAGNITUDE = auto()
    LOOKUP = auto()
    """Entry a of the table that begins at b."""


_PYTHON: Mapping[Op, Callable[[int, int], int]] = {Op.LEAST: min, Op.GREATEST: max}
_OF_TWO: Mapping[Op, Callable[[Any, Any], Any]] = {
    Op.PRODUCT: operator.mul,
    Op.LEAST: np.minimum,
    Op.GREATEST: np.maximum,
}


@dataclass(frozen=True)
class Bound:
    """What is known of a row.

    Parameters
    ----------
    low, high : int
        Its range.
    reach : int
        The largest magnitude of it, of its partial sums, whatever their order, and of what it is
        made of back to whole parts, magnitudes and tables.
    negative : int
        The largest magnitude of its negative terms, all products and sums multiplied out.
    """

    low: int
    high: int
    reach: int
    negative: int = 0

    @property
    def positive(self) -> int:
        """What its positive terms do not exceed."""
        return self.high + self.negative


class Program:
    """The steps that compute figures.

    Parameters
    ----------
    atoms : sequence of Atom
        What the figures are made of.
    figures : sequence of Figure
        What is computed.

    Attributes
    ----------
    sizes : tuple of SymbolInfo
        The sizes that the first rows hold, in the order of the catalogue; the row after them is 1.
    steps : list of (Op, int, int)
        One for each further row.
    results : list of int
        The row of each figure.
    """

    def __init__(self, atoms: Sequence[Atom], figures: Sequence[Figure]) -> None:
        self._atoms = atoms
        self.figures = tuple(figures)
        self.steps: list[tuple[Op, int, int]] = []
        self.terms: list[tuple[int, int]] = []
        self.tables: list[int] = []
        self._starts: dict[tuple[int, ...], int] = {}
        used = _used(atoms, figures)
        sizes = {atoms[number].size for number in used}
        self.sizes = tuple(info for info in CATALOGUE.values() if info in sizes)
        self._one = len(self.sizes)
        self._rows: dict[Term, int] = {(): self._one}
        self._sums: dict[frozenset[tuple[int, int]], int] = {}
        for number in used:
            self._rows[number,] = self._atom(atoms[number])
        # Short figures first: longer ones hold them.
        rows = {figure.name: self._figure(figure) for figure in sorted(figures, key=_length)}
        self.results = [rows[figure.name] for figure in figures]

    @classmethod
    def of(cls, forms: Forms) -> Program:
        """The program of all figures of some forms."""
        return cls(forms.atoms, forms.figures)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sizes."""
        return tuple(size.name for size in self.sizes)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self._one + 1 + len(self.steps)

    def _step(self, op: Op, a: int, b: int = 0) -> int:
        self.steps.append((op, a, b))
        return self.rows - 1

    def _atom(self, atom: Atom) -> int:
        if atom.size is not None:
            row, step = self.sizes.index(atom.size), atom.size.multiple_of
            return row if step == 1 else self._step(Op.QUOTIENT, row, step)
        rows = [self._polynomial(argument) for argument in atom.arguments]
        if atom.kind is Kind.FLOOR:
            return self._step(Op.FLOOR, rows[0], atom.arguments[0].denominator)
        if atom.kind is Kind.MAGNITUDE:
            return self._step(Op.MAGNITUDE, rows[0])
        if atom.kind is Kind.LOOKUP:
            return self._step(Op.LOOKUP, rows[0], self._start(atom.table))
        return self._extreme(Op.LEAST if atom.kind is Kind.LEAST else Op.GREATEST, rows)

    def _start(self, table: tuple[int, ...]) -> int:
        if table not in self._starts:
            self._starts[table] = len(self.tables)
            self.tables.extend(table)
        return self._starts[table]

    def _extreme(self, op: Op, rows: Sequence[int]) -> int:
        row = rows[0]
        for other in rows[1:]:
            row = self._step(op, row, other)
        return row

    def _figure(self, figure: Figure) -> int:
        row = self._extreme(Op.GREATEST, [self._polynomial(c) for c in figure.candidates])
        denominator = figure.candidates[0].denominator
        if figure.whole and denominator > 1:
            return self._step(Op.QUOTIENT, row, denominator)
        return row

    def _polynomial(self, polynomial: Polynomial) -> int:
        # Factors of few degrees first: they are part of others.
        order = sorted(polynomial.terms, key=lambda term: (len(term), term))
        return self._sum({self._product(term): polynomial.terms[term] for term in order})

    def _sum(self, terms: Mapping[int, int]) -> int:
        if list(terms.values()) == [1]:
            return next(iter(terms))
        key = frozenset(terms.items())
        if key not in self._sums:
            shorter = self._shortened(terms)
            start = len(self.terms)
            self.terms.extend(shorter.items())
            self._sums[key] = self._step(Op.SUM, start, len(self.terms))
        return self._sums[key]

    def _shortened(self, terms: Mapping[int, int]) -> Mapping[int, int]:
        """Terms with a sum before that is part of them, such as vision's of a prefill."""
        best = terms
        for known, row in self._sums.items():
            rest = dict(terms)
            for of, times in known:
                rest[of] = rest.get(of, 0) - times
            rest = {of: times for of, times in rest.items() if times}
            if min(rest.values(), default=0) >= 0 and len(known) > 1:
                other = self._sums.get(frozenset(rest.items()))
                found = {other: 1, row: 1} if other not in (None, row) else {**rest, row: 1}
                best = min(best, found, key=len)
        return best

    def _product(self, term: Term) -> int:
        if term not in self._rows:
            *rest, last = term
            self._rows[term] = self._step(Op.PRODUCT, self._product(tuple(rest)), self._rows[last,])
        return self._rows[term]

    @cached_property
    def denominators(self) -> tuple[int, ...]:
        """What the row of each figure is to be divided by."""
        return tuple(
            1 if figure.whole else figure.candidates[0].denominator for figure in self.figures
        )

    @property
    def numbers(self) -> list[int]:
        """All numbers that the steps hold."""
        return [*(number for _, number in self.terms), *self.tables, *(b for _, _, b in self.steps)]

    def constants(self, bounds: Sequence[Bound]) -> dict[int, int]:
        """The atoms that have a single value within bounds, by their numbers."""
        return {
            term[0]: bounds[row].low
            for term, row in self._rows.items()
            if len(term) == 1 and bounds[row].low == bounds[row].high
        }

    def evaluate(self, sizes: Sequence[NDArray[Any]], dtype: Any) -> list[NDArray[Any]]:
        """The rows of the figures, step by step.

        Parameters
        ----------
        sizes : sequence of numpy.ndarray
            One for each size, with at least one dimension.
        dtype : numpy type
            What is computed in: int64, or objects for Python numbers of any length.
        """
        one = np.ones(1, dtype)
        rows = [*(size.astype(dtype, copy=False) for size in sizes), one]
        for op, a, b in self.steps:
            if op is Op.SUM:
                row = sum((number * rows[row] for row, number in self.terms[a:b]), 0 * one)
            elif op is Op.LOOKUP:
                row = np.array(self.tables, dtype)[(rows[a] + b).astype(np.int64)]
            elif op in (Op.FLOOR, Op.QUOTIENT):
                row = rows[a] // b
            elif op is Op.MAGNITUDE:
                row = abs(rows[a])
            else:
                row = _OF_TWO[op](rows[a], rows[b])
            rows.append(row)
        return [rows[row] for row in self.results]

    def bounds(self, ranges: Ranges) -> list[Bound]:
        """What is known of every row where sizes lie in ranges, by interval arithmetic."""
        known = [Bound(*ranges[name], max(map(abs, ranges[name]))) for name in self.names]
        known.append(Bound(1, 1, 1))
        for op, a, b in self.steps:
            known.append(self._bound(op, a, b, known))
        return known

    def _bound(self, op: Op, a: int, b: int, known: Sequence[Bound]) -> Bound:
        if op is Op.SUM:
            parts = [
                sorted((number * known[row].low, number * known[row].high))
                for row, number in self.terms[a:b]
            ]
            low, high = sum(part[0] for part in parts), sum(part[1] for part in parts)
            reach = max(
                sum(max(part[1], 0) for part in parts),
                -sum(min(part[0], 0) for part in parts),
                *(known[row].reach for row, _ in self.terms[a:b]),
            )
            negative = sum(
                number * known[row].negative if number > 0 else -number * known[row].positive
                for row, number in self.terms[a:b]
            )
            return Bound(low, high, reach, negative)
        one = known[a]
        if op in (Op.FLOOR, Op.QUOTIENT):
            ends = [one.low // b, one.high // b]
        elif op is Op.MAGNITUDE:
            ends = [abs(one.low), abs(one.high), *([0] if one.low < 0 < one.high else [])]
        elif op is Op.LOOKUP:
            ends = self.tables[b + one.low : b + one.high + 1]
        elif op is Op.PRODUCT:
            other = known[b]
            ends = [x * y for x in (one.low, one.high) for y in (other.low, other.high)]
            reach = max(*map(abs, ends), one.reach, other.reach)
            negative = one.positive * other.negative + one.negative * other.positive
            return Bound(min(ends), max(ends), reach, negative)
        else:
            choose, other = _PYTHON[op], known[b]
            low, high = choose(one.low, other.low), choose(one.high, other.high)
            negative = max(one.negative, other.negative)
            return Bound(low, high, max(one.reach, other.reach), negative)
        return Bound(min(ends), max(ends), max(map(abs, ends)), max(0, -min(ends)))


def _length(figure: Figure) -> int:
    return sum(len(candidate.terms) for candidate in figure.candidates)


def _used(atoms: Sequence[Atom], figures: Iterable[Figure]) -> list[int]:
    """The atoms that figures are made of, each after those that it is made of itself."""
    used: set[int] = set()
    pending = [polynomial for figure in figures for polynomial in figure.candidates]
    while pending:
        for term in pending.pop().terms:
            for number in set(term) - used:
                used.add(number)
                pending.extend(atoms[number].arguments)
    return sorted(used)
