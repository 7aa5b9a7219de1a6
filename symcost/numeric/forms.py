"""Formulas in normal form: the largest of a few polynomials in a few whole atoms.

An atom is a size of the workload or something rounded, clamped or looked up. Polynomials have
integer coefficients and one denominator, so that everything is computed with integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import product
from typing import TypeAlias

import sympy as sp

from symcost.errors import DomainError
from symcost.exact import Evaluator
from symcost.symbols import Expr, SymbolInfo, info_of

Term: TypeAlias = tuple[int, ...]
"""A product of atoms by their numbers, in order; the empty one is 1."""


@dataclass(frozen=True)
class Polynomial:
    """Integer coefficients by term, over a common denominator."""

    terms: Mapping[Term, int]
    denominator: int = 1


class Kind(StrEnum):
    """What an atom makes of its arguments."""

    SIZE = "size"
    FLOOR = "floor"
    LEAST = "least"
    GREATEST = "greatest"
    MAGNITUDE = "magnitude"
    LOOKUP = "lookup"


@dataclass(frozen=True)
class Atom:
    """What polynomials are made of.

    Parameters
    ----------
    kind : Kind
        A size of the workload in its steps (`I_g / 64`); the whole part of a polynomial; the least
        or greatest of some; the magnitude of one; or a table's entry at one.
    names : frozenset of str
        The sizes that it depends on.
    arguments : tuple of Polynomial
        Without denominators, but for FLOOR.
    size : SymbolInfo, optional
        The size, of kind SIZE.
    table : tuple of int
        The entries from 0 on, of kind LOOKUP.
    """

    kind: Kind
    names: frozenset[str]
    arguments: tuple[Polynomial, ...] = ()
    size: SymbolInfo | None = None
    table: tuple[int, ...] = ()


@dataclass(frozen=True)
class Figure:
    """The largest of some polynomials.

    `whole` says that every value is an integer where all sizes are.
    """

    name: str
    candidates: tuple[Polynomial, ...]
    whole: bool


_Sum: TypeAlias = dict[Term, Fraction]


class Forms:
    """Figures in normal form over one list of atoms.

    Parameters
    ----------
    formulas : mapping of str to sympy.Expr
        By name. They hold the nodes that `symcost.exact` evaluates, and no others.

    Raises
    ------
    DomainError
        A formula holds something else, or a power that is no table of a clamped size.
    """

    def __init__(self, formulas: Mapping[str, Expr]) -> None:
        reader = _Reader()
        self.figures = tuple(reader.figure(name, formula) for name, formula in formulas.items())
        self.atoms = tuple(reader.atoms)


class _Reader:
    """Reads formulas as sums of terms; what they share is read once."""

    def __init__(self) -> None:
        self.atoms: list[Atom] = []
        self._numbers: dict[object, int] = {}
        self._known: dict[Expr, _Sum] = {}

    def figure(self, name: str, formula: Expr) -> Figure:
        """A formula as the largest of polynomials."""
        polynomials = [_over_integers(self._read(part)) for part in _candidates(formula)]
        candidates = _same_denominator(polynomials)
        return Figure(name, candidates, all(map(self._is_whole, candidates)))

    def _is_whole(self, polynomial: Polynomial) -> bool:
        """Whether its values are integers, which is decided by what is left of them by division."""
        modulus = polynomial.denominator
        if modulus == 1:
            return True
        if not self._of_integers(polynomial.terms):
            return False
        left = {t: c % modulus for t, c in polynomial.terms.items() if c % modulus}
        atoms = sorted({atom for term in left for atom in term})
        if modulus ** len(atoms) > _MOST_RESIDUES:
            return False
        for residues in product(range(modulus), repeat=len(atoms)):
            value = dict(zip(atoms, residues, strict=True))
            if sum(c * math.prod(value[a] for a in t) for t, c in left.items()) % modulus:
                return False
        return True

    def _read(self, formula: Expr) -> _Sum:
        if formula not in self._known:
            self._known[formula] = self._read_anew(formula)
        return self._known[formula]

    def _read_anew(self, formula: Expr) -> _Sum:
        if isinstance(formula, sp.Rational):
            return {(): Fraction(int(formula.p), int(formula.q))} if formula else {}
        if isinstance(formula, sp.Add):
            return _added(map(self._read, formula.args))
        if isinstance(formula, sp.Mul):
            return _multiplied(map(self._read, formula.args))
        if isinstance(formula, sp.Pow) and formula.exp.is_Integer and formula.exp > 0:
            return _multiplied([self._read(formula.base)] * int(formula.exp))
        if formula.has(sp.Pow) and any(not power.exp.is_Integer for power in formula.atoms(sp.Pow)):
            return self._read_table(formula)
        readers: dict[type[Expr], Callable[[Expr], _Sum]] = {
            sp.Symbol: self._read_size,
            sp.floor: lambda rounded: self._read_floor(rounded.args[0], up=False),
            sp.ceiling: lambda rounded: self._read_floor(rounded.args[0], up=True),
            sp.Min: lambda least: self._read_several(Kind.LEAST, least),
            sp.Max: lambda greatest: self._read_several(Kind.GREATEST, greatest),
            sp.Abs: lambda magnitude: self._read_several(Kind.MAGNITUDE, magnitude),
        }
        if formula.func not in readers:
            raise DomainError(f"{formula.func.__name__} cannot be compiled: {formula}")
        return readers[formula.func](formula)

    def _read_size(self, symbol: sp.Symbol) -> _Sum:
        info = info_of(symbol)
        names = frozenset({info.name})
        return self._atom(Atom(Kind.SIZE, names, size=info), times=Fraction(info.multiple_of))

    def _read_floor(self, formula: Expr, *, up: bool) -> _Sum:
        value = self._read(formula)
        if not self._of_integers(value):
            sign = Fraction(-1 if up else 1)
            turned = _over_integers({term: sign * number for term, number in value.items()})
            return self._atom(Atom(Kind.FLOOR, self._names([turned]), (turned,)), times=sign)
        if all(c.denominator == 1 for c in value.values()):
            return value
        shifted = _over_integers(value)
        if up:
            terms = dict(shifted.terms)
            terms[()] = terms.get((), 0) + shifted.denominator - 1
            shifted = Polynomial(terms, shifted.denominator)
        return self._atom(Atom(Kind.FLOOR, self._names([shifted]), (shifted,)))

    def _of_integers(self, terms: Iterable[Term]) -> bool:
        return all(self._is_integer(self.atoms[number]) for term in terms for number in term)

    def _is_integer(self, atom: Atom) -> bool:
        if atom.size is not None:
            return atom.size.integer
        rounded = atom.kind in (Kind.FLOOR, Kind.LOOKUP)
        return rounded or all(self._of_integers(argument.terms) for argument in atom.arguments)

    def _read_several(self, kind: Kind, formula: Expr) -> _Sum:
        read = _same_denominator([_over_integers(self._read(a)) for a in formula.args])
        whole = tuple(Polynomial(p.terms) for p in read)
        return self._atom(
            Atom(kind, self._names(whole), whole), times=Fraction(1, read[0].denominator)
        )

    def _read_table(self, formula: Expr) -> _Sum:
        """What depends on a single clamped size only, entry by entry."""
        clamps = [
            c
            for c in formula.atoms(sp.Min)
            if c.is_integer and c.is_nonnegative and any(a.is_Integer for a in c.args)
        ]
        for clamp in clamps:
            last = next(int(a) for a in clamp.args if a.is_Integer)
            if formula.xreplace({clamp: sp.Integer(last)}).free_symbols or last > _MOST_ENTRIES:
                continue
            entries = [
                Evaluator({})(formula.xreplace({clamp: sp.Integer(i)})) for i in range(last + 1)
            ]
            denominator = math.lcm(*(entry.denominator for entry in entries))
            table = tuple(int(entry * denominator) for entry in entries)
            argument = _over_integers(self._read(clamp))
            atom = Atom(Kind.LOOKUP, self._names([argument]), (argument,), table=table)
            return self._atom(atom, times=Fraction(1, denominator))
        raise DomainError(
            f"{formula} cannot be compiled: a power whose exponent is a size needs limits, as in "
            "Min(100, n) of a non-negative integer n"
        )

    def _names(self, polynomials: Iterable[Polynomial]) -> frozenset[str]:
        numbers = {number for p in polynomials for term in p.terms for number in term}
        return frozenset[str]().union(*(self.atoms[number].names for number in numbers))

    def _atom(self, atom: Atom, times: Fraction = Fraction(1)) -> _Sum:
        arguments = tuple((tuple(sorted(p.terms.items())), p.denominator) for p in atom.arguments)
        key = (atom.kind, atom.names if atom.size else None, arguments, atom.table)
        if key not in self._numbers:
            self._numbers[key] = len(self.atoms)
            self.atoms.append(atom)
        return {(self._numbers[key],): times}


_MOST_ENTRIES = 1 << 16
"""So many entries a table has at most."""
_MOST_RESIDUES = 1 << 16
"""So many combinations of remainders are looked at; a polynomial with more counts as fractional."""


def _candidates(formula: Expr) -> list[Expr]:
    """What a formula is the largest of, where the maximum is a term of its own."""
    largest = [part for part in sp.Add.make_args(formula) if isinstance(part, sp.Max)]
    if len(largest) != 1:
        return [formula]
    rest = [part for part in sp.Add.make_args(formula) if part != largest[0]]
    return [sp.Add(part, *rest) for part in largest[0].args]


def _added(sums: Iterable[_Sum]) -> _Sum:
    total: _Sum = {}
    for one in sums:
        for term, number in one.items():
            total[term] = total.get(term, Fraction(0)) + number
    return {term: number for term, number in total.items() if number}


def _multiplied(sums: Iterable[_Sum]) -> _Sum:
    total: _Sum = {(): Fraction(1)}
    for one in sums:
        total = _added(
            {tuple(sorted(a + b)): x * y} for a, x in total.items() for b, y in one.items()
        )
    return total


def _over_integers(value: _Sum) -> Polynomial:
    denominator = math.lcm(*(number.denominator for number in value.values()))
    return Polynomial({t: int(number * denominator) for t, number in value.items()}, denominator)


def _same_denominator(polynomials: list[Polynomial]) -> tuple[Polynomial, ...]:
    common = math.lcm(*(p.denominator for p in polynomials))
    return tuple(
        Polynomial({t: c * (common // p.denominator) for t, c in p.terms.items()}, common)
        for p in polynomials
    )
