"""Roots of polynomials of degree one and two as formulas of other sizes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp

from symcost.exact import Bindings, Number, as_rational, decimal_text, simplest
from symcost.formulas import text
from symcost.symbols import Expr


@dataclass(frozen=True)
class ClosedForm:
    """The formula of a boundary: the root of a polynomial of degree one or two.

    Parameters
    ----------
    coefficients : tuple of sympy.Expr
        Of left minus right in the unknown, the constant one first, as formulas of the other sizes.
    numbers : tuple of int or Fraction
        The same with the numbers of the workload.
    domain : tuple of (sympy.Expr, sympy.Expr)
        Where it holds: each first formula is at most the second.
    whole : int
        The root, rounded down to a legal value by integer arithmetic.
    upper : bool
        Of degree two: whether the square root is added, not subtracted.
    """

    coefficients: tuple[Expr, ...]
    numbers: tuple[Number, ...]
    domain: tuple[tuple[Expr, Expr], ...]
    whole: int
    upper: bool

    def root(self, digits: int = 9) -> str:
        """The root, rounded."""
        c, b, *square = map(as_rational, self.numbers)
        if not square:
            return decimal_text(simplest(-c / b), digits)
        (a,) = square
        root = sp.sqrt(b * b - 4 * a * c)
        return str(sp.N((-b + root if self.upper else -b - root) / (2 * a), digits))

    def whole_coefficients(self) -> list[Expr]:
        """The coefficients in whole numbers, without the sizes that all of them share.

        Only what all numbers of a polynomial are multiplied by has changed, so its roots are the
        same.
        """
        terms = [t for formula in self.coefficients for t in sp.Add.make_args(sp.expand(formula))]
        scale = math.lcm(*(int(term.as_coeff_Mul()[0].q) for term in terms))
        shared = sp.gcd_list([term.as_coeff_Mul()[1] for term in terms if term != 0])
        return [sp.expand(scale * formula / shared) for formula in self.coefficients]

    def sizes(self, bindings: Bindings, equals: str, show: Callable[[Expr], str]) -> str:
        """What its sizes are, behind a comma; nothing where it has none."""
        free = sp.Add(*self.coefficients).free_symbols
        sizes = [f"{show(s)}{equals}{bindings[s]}" for s in bindings if s in free]
        return f", {', '.join(sizes)}" if sizes else ""

    def told(self, bindings: Bindings) -> str:
        """The root as a formula of the other sizes, and as a number."""
        root, coefficients = self.root(), self.whole_coefficients()
        sizes = self.sizes(bindings, " = ", text)
        if len(coefficients) == 2:
            constant, slope = coefficients
            return f"({text(-constant)}) / ({text(slope)}) = {root}{sizes}"
        c, b, a = map(text, coefficients)
        sign = "+" if self.upper else "-"
        formula = f"(-b {sign} sqrt(b^2 - 4 a c)) / (2 a)"
        return f"{formula} = {root} with a = {a}, b = {b}, c = {c}{sizes}"
