"""Dense grids: a figure as a matrix product of what varies along outer and along inner axes.

A polynomial over a grid is a sum of products, of a factor that depends on outer axes only and one
that depends on inner axes only. Both are small; their matrix product is the grid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symcost.numeric import machine
from symcost.numeric.forms import Atom, Figure, Polynomial, Term
from symcost.numeric.program import Program


class Contraction:
    """A figure on a grid.

    Parameters
    ----------
    outer, inner : Program
        The factors of all candidates of the figure.
    ends : array of int64
        The number behind the last factor of each candidate.
    denominator : int
        What the products are divided by.
    names : tuple of str
        The sizes, in the order in which they are given.
    """

    def __init__(
        self,
        outer: Program,
        inner: Program,
        ends: NDArray[np.int64],
        denominator: int,
        names: Sequence[str],
    ) -> None:
        self._outer = outer
        self._inner = inner
        self._ends = ends
        self._denominator = denominator
        self._names = names

    def fill(self, sizes: Sequence[NDArray[Any]], outer: int, out: NDArray[Any]) -> None:
        """Write the figure to an array, computed in its type.

        Parameters
        ----------
        sizes : sequence of numpy.ndarray
            With the dimensions of the array, or 1 of them.
        outer : int
            How many axes are outer ones.
        """
        inner = out.ndim - outer
        at_first_row = [size[(0,) * outer] for size in sizes]
        at_first_column = [size[(slice(None),) * outer + (0,) * inner] for size in sizes]
        left = self._values(self._outer, at_first_column, out.shape[:outer])
        right = self._values(self._inner, at_first_row, out.shape[outer:])
        machine.largest_product(
            np.ascontiguousarray(left.T, out.dtype),
            right.astype(out.dtype, copy=False),
            self._ends,
            out.reshape(left.shape[1], right.shape[1]),
        )
        if self._denominator > 1:
            divide = np.floor_divide if out.dtype == np.int64 else np.divide
            divide(out, self._denominator, out=out)

    def _values(
        self, program: Program, sizes: Sequence[NDArray[Any]], shape: tuple[int, ...]
    ) -> NDArray[np.int64]:
        """The factors (factors × points) at the points of some axes."""
        by_name = dict(zip(self._names, sizes, strict=True))
        found = program.evaluate([by_name[name] for name in program.names], np.int64)
        values = np.empty((len(found), *shape), np.int64)
        for row, factor in zip(values, found, strict=True):
            row[...] = factor
        return values.reshape(len(found), math.prod(shape))


def contraction(
    atoms: Sequence[Atom],
    figure: Figure,
    varying: tuple[Set[str], Set[str]],
    constants: Mapping[int, int],
    names: Sequence[str],
) -> Contraction | None:
    """A figure as products over axes; None where an atom varies with outer and with inner sizes.

    Parameters
    ----------
    varying : tuple of set of str
        The sizes that vary along the outer axes, and those that vary along the inner ones.
    constants : mapping of int to int
        Atoms that have one value only.
    names : sequence of str
        The sizes, in the order in which they will be given.
    """
    factors: tuple[list[Polynomial], list[Polynomial]] = ([], [])
    ends = []
    for candidate in figure.candidates:
        # Factors of one side are single terms; the side with fewer different ones is taken.
        by_outer = _by_terms(atoms, candidate, varying[0], varying[1], constants)
        by_inner = _by_terms(atoms, candidate, varying[1], varying[0], constants)
        if by_outer is None or by_inner is None:
            return None
        side = 0 if len(by_outer) < len(by_inner) else 1
        for term, others in (by_outer, by_inner)[side].items():
            factors[side].append(Polynomial({term: 1}))
            factors[1 - side].append(Polynomial(others))
        ends.append(len(factors[0]))
    programs = [_program(atoms, polynomials) for polynomials in factors]
    denominator = figure.candidates[0].denominator
    return Contraction(programs[0], programs[1], np.array(ends), denominator, names)


def _by_terms(
    atoms: Sequence[Atom],
    polynomial: Polynomial,
    side: Set[str],
    other: Set[str],
    constants: Mapping[int, int],
) -> dict[Term, dict[Term, int]] | None:
    """A polynomial by the factors that vary with the sizes of one side; None if one mixes both."""
    found: dict[Term, dict[Term, int]] = {}
    for term, number in polynomial.terms.items():
        key: list[int] = []
        rest: list[int] = []
        times = number
        for atom in term:
            names = atoms[atom].names
            if names & side and names & other:
                if atom not in constants:
                    return None
                times *= constants[atom]
            else:
                (key if names & side else rest).append(atom)
        sums = found.setdefault(tuple(key), {})
        sums[tuple(rest)] = sums.get(tuple(rest), 0) + times
    return found


def _program(atoms: Sequence[Atom], polynomials: Sequence[Polynomial]) -> Program:
    return Program(atoms, [Figure(str(i), (p,), whole=True) for i, p in enumerate(polynomials)])
