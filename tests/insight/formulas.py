"""Random formulas of one size: as a formula, and as a function of Python numbers beside it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from fractions import Fraction

import sympy as sp

from symcost.symbols import B

Function = Callable[[int], int | Fraction]
Pair = tuple[sp.Expr, Function]


def _rounded(step: int) -> list[Pair]:
    return [
        (sp.ceiling(B / step), lambda x: -(-x // step)),
        (B * sp.floor(B / step), lambda x: x * (x // step)),
    ]


def _bent(bend: int) -> list[Pair]:
    return [(sp.Min(B, bend), lambda x: min(x, bend))]


def _saturating(experts: int, chosen: int, bend: int, weights: int) -> list[Pair]:
    """Distinct experts, as the decoder has them."""
    missed = Fraction(experts - chosen, experts)

    def function(x: int) -> Fraction:
        count = experts * (1 - missed ** min(x, bend))
        return Fraction(math.floor(count * weights + Fraction(1, 2)), weights)

    power = sp.Rational(missed.numerator, missed.denominator) ** sp.Min(B, bend)
    count = sp.floor(experts * weights * (1 - power) + sp.Rational(1, 2)) / weights
    return [(count, function)]


BLOCKS: list[Pair] = [
    *(pair for step in range(2, 9) for pair in _rounded(step)),
    *(pair for bend in (3, 40, 111) for pair in _bent(bend)),
    *_saturating(8, 2, 30, 1),
    *_saturating(64, 6, 150, 1000),
]


def _polynomial(rng: random.Random) -> Pair:
    """Of degree up to three, with its roots in sight or with none at all."""
    if rng.random() < 0.3:
        numbers = [rng.randint(-3000, 3000), *(rng.randint(-60, 60) for _ in range(2))]
        formula = sp.Add(*(n * B**i for i, n in enumerate(numbers)))
        return formula, lambda x: sum(n * x**i for i, n in enumerate(numbers))
    roots = [rng.choice([rng.randint(-90, 130), rng.randint(1, 9)]) for _ in range(3)]
    roots = roots[: rng.randint(1, 3)]
    factor = Fraction(rng.choice([-3, -1, 1, 2]), rng.choice([1, 1, 7]))
    formula = sp.Rational(factor.numerator, factor.denominator) * sp.Mul(*(B - r for r in roots))
    return formula, lambda x: factor * math.prod(x - r for r in roots)


def formula(rng: random.Random) -> Pair:
    """A polynomial, and up to two things that are none."""
    polynomial, of_polynomial = _polynomial(rng)
    others = [(rng.randint(-50, 50), *rng.choice(BLOCKS)) for _ in range(rng.choice([0, 1, 1, 2]))]
    return sp.Add(
        polynomial, *(factor * text for factor, text, _ in others)
    ), lambda x: of_polynomial(x) + sum(factor * function(x) for factor, _, function in others)
