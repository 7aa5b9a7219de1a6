"""Quasi-polynomials: polynomials whose coefficients depend on the residue of the argument.

Two of degree d and period p that agree at d + 1 points of each residue class modulo p are equal
everywhere. docs/PROOFS.md says why what is traced is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import sympy as sp

from symcost.symbols import Expr


@dataclass(frozen=True)
class QuasiPolynomials:
    """All quasi-polynomials of a period, of a degree or less."""

    degree: int
    period: int

    def __str__(self) -> str:
        return f"degree {self.degree}, period {self.period}"

    @property
    def points(self) -> int:
        """How many points of each residue class determine one."""
        return self.degree + 1

    def determined_by(self, points: range) -> bool:
        """Whether one is known everywhere once it is known at the points."""
        return all(len(self._of_class(points, r)) >= self.points for r in range(self.period))

    def fit(self, values: Mapping[int, int]) -> bool:
        """Whether values at consecutive points are those of one."""
        points = range(min(values), max(values) + 1)
        return all(
            self._differences_vanish([values[point] for point in self._of_class(points, r)])
            for r in range(self.period)
        )

    def hold(self, formula: Expr, argument: sp.Symbol) -> bool:
        """Whether a formula is one in an argument: in each residue class it is a polynomial."""
        for residue in range(self.period):
            of_class = sp.expand(formula.xreplace({argument: self.period * argument + residue}))
            if not of_class.is_polynomial(argument) or sp.degree(of_class, argument) > self.degree:
                return False
        return True

    def _of_class(self, points: range, residue: int) -> list[int]:
        return [point for point in points if point % self.period == residue]

    def _differences_vanish(self, values: list[int]) -> bool:
        for _ in range(self.points):
            values = [after - before for before, after in pairwise(values)]
        return not any(values)
