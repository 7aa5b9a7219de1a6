"""Exact arithmetic on many points at once: whole numbers over one denominator for all of them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import reduce

import numpy as np


class Column:
    """A value at each point, or the same one at all; what readers of exported text compute with."""

    def __init__(self, above: np.ndarray | int, below: int = 1) -> None:
        self.above, self.below = above, below

    @classmethod
    def of(cls, values: Sequence[int]) -> Column:
        above = np.empty(len(values), object)
        above[:] = values
        return cls(above)

    def values(self, count: int) -> list[int | Fraction]:
        above = [self.above] * count if isinstance(self.above, int) else self.above.tolist()
        if any(value % self.below for value in above):
            return [Fraction(value, self.below) for value in above]
        return [value // self.below for value in above]

    def together(self, other: Column, combine: Callable) -> Column:
        """What a function makes of both over one denominator."""
        below = math.lcm(self.below, other.below)
        one, two = (each.above * (below // each.below) for each in (self, other))
        return Column(combine(one, two), below)

    def __add__(self, other: Column) -> Column:
        return self.together(other, operator.add)

    def __sub__(self, other: Column) -> Column:
        return self.together(other, operator.sub)

    def __neg__(self) -> Column:
        return Column(-self.above, self.below)

    def __mul__(self, other: Column) -> Column:
        return Column(self.above * other.above, self.below * other.below)

    def __truediv__(self, other: Column) -> Column:
        """By a positive number that is the same everywhere."""
        assert isinstance(other.above, int)
        assert other.above > 0
        return Column(self.above * other.below, self.below * other.above)

    def __pow__(self, other: Column) -> Column:
        assert other.below == 1
        exponents = other.above
        most = exponents if isinstance(exponents, int) else exponents.max()
        return Column(self.above**exponents * self.below ** (most - exponents), self.below**most)

    def __gt__(self, other: Column) -> Column:
        return Column.of([int(value > 0) for value in (self - other).above])

    def __ne__(self, other: object) -> Column:
        return Column.of([int(value != 0) for value in (self - other).above])

    __hash__ = None

    def __abs__(self) -> Column:
        return Column(abs(self.above), self.below)

    def __floor__(self) -> Column:
        return Column(self.above // self.below)

    def __ceil__(self) -> Column:
        return Column(-(-self.above // self.below))


def least(*values: Column) -> Column:
    return reduce(lambda one, other: one.together(other, np.minimum), values)


def greatest(*values: Column) -> Column:
    return reduce(lambda one, other: one.together(other, np.maximum), values)
