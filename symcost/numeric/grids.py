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
    inner: Set[str],
    constants: Mapping[int, int],
    names: Sequence[str],
) -> Contraction | None:
    """A figure as products over axes; None where an atom varies with inner and with outer sizes.

    Parameters
    ----------
    inner : set of str
        The sizes that vary along the inner axes.
    constants : mapping of int to int
        Atoms that have one value only.
    names : sequence of str
        The sizes, in the order in which they will be given.
    """
    outer_factors: list[Polynomial] = []
    inner_factors: list[Polynomial] = []
    ends = []
    for candidate in figure.candidates:
        factors: dict[Term, dict[Term, int]] = {}
        for term, number in candidate.terms.items():
            fixed = [a for a in term if a in constants and _is_mixed(atoms[a], inner)]
            left = [a for a in term if a not in fixed]
            if any(_is_mixed(atoms[a], inner) for a in left):
                return None
            within = tuple(a for a in left if atoms[a].names & inner)
            outside = tuple(a for a in left if a not in within)
            sums = factors.setdefault(within, {})
            times = number * math.prod(constants[a] for a in fixed)
            sums[outside] = sums.get(outside, 0) + times
        inner_factors += [Polynomial({term: 1}) for term in factors]
        outer_factors += [Polynomial(terms) for terms in factors.values()]
        ends.append(len(outer_factors))
    outer_program, inner_program = _program(atoms, outer_factors), _program(atoms, inner_factors)
    denominator = figure.candidates[0].denominator
    return Contraction(outer_program, inner_program, np.array(ends), denominator, names)


def _is_mixed(atom: Atom, inner: Set[str]) -> bool:
    return bool(atom.names & inner) and not atom.names <= inner


def _program(atoms: Sequence[Atom], polynomials: Sequence[Polynomial]) -> Program:
    return Program(atoms, [Figure(str(i), (p,), whole=True) for i, p in enumerate(polynomials)])
