"""Where a formula of one symbol is negative, zero and positive: a complete chart, by proof.

Ranges of values are halved until the sign of the formula is proved on each of them
(`symcost.bounds`), down to single values, whose sign is computed. Nothing is assumed of the
formula, least of all that its sign changes once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import sympy as sp

from symcost.bounds import Region, regions_of
from symcost.errors import DomainError
from symcost.exact import Evaluator
from symcost.symbols import Expr, info_of

_MOST_RANGES = 4000
"""Ranges after which a chart is given up."""

_FARTHEST = 2**200
"""A value from which on a sign that is not yet proved is given up."""


@dataclass(frozen=True)
class Run:
    """Values that follow each other and at which a formula has the same sign.

    Parameters
    ----------
    first : int
        The first of them.
    last : int or None
        The last of them; None where there is no last one.
    sign : int
        -1, 0 or 1.
    """

    first: int
    last: int | None
    sign: int


@dataclass(frozen=True)
class Chart:
    """The sign of a formula at every value of a symbol, and how it was found.

    Parameters
    ----------
    runs : tuple of Run
        All values, in order; neighbours have different signs.
    proved, computed : int
        Ranges on which the sign was proved, and values at which it was computed.
    """

    runs: tuple[Run, ...]
    proved: int = 0
    computed: int = 0


def sign_chart(formula: Expr, symbol: sp.Symbol, first: int, last: int | None = None) -> Chart:
    """The sign of a formula from one value of its only symbol to another, or for all from there.

    Parameters
    ----------
    formula : sympy.Expr
        It holds sums, products, powers, roundings and minima, but no maximum.
    symbol : sympy.Symbol
        An integer symbol, whose values are multiples of what its domain says.

    Raises
    ------
    DomainError
        The sign could not be proved everywhere.
    """
    return _Search(formula, symbol).chart(first, last)


class _Search:
    """The search for the signs of one formula."""

    def __init__(self, formula: Expr, symbol: sp.Symbol) -> None:
        self._formula, self._symbol = formula, symbol
        self._step = info_of(symbol).multiple_of
        (self._everywhere,) = regions_of([formula, symbol]).values()

    def chart(self, first: int, last: int | None) -> Chart:
        runs: list[Run] = []
        proved = computed = 0
        pending: list[tuple[int, int | None]] = [(first, last)]
        while pending:
            low, high = pending.pop()
            sign = self._computed(low) if low == high else self._proved(low, high)
            if sign is not None:
                proved, computed = proved + (low != high), computed + (low == high)
                runs.append(Run(low, high, sign))
            elif proved + computed > _MOST_RANGES or low > _FARTHEST:
                raise DomainError(
                    f"the sign of a formula in {self._symbol} cannot be proved from "
                    f"{self._symbol} = {low} on; narrow what is asked"
                )
            else:
                middle = self._middle(low, high)
                pending += [(middle + self._step, high), (low, middle)]
        return Chart(_joined(runs), proved, computed)

    def _middle(self, low: int, high: int | None) -> int:
        """Where a range is parted: halfway, or where it is twice as far where it has no end."""
        if high is None:
            return 2 * low + self._step
        return low + (high - low) // self._step // 2 * self._step

    def _computed(self, value: int) -> int:
        found = Evaluator({self._symbol: value})(self._formula)
        return (found > 0) - (found < 0)

    def _proved(self, low: int, high: int | None) -> int | None:
        """The sign on a range, if it is proved that there is but one."""
        sign = self._computed(low)
        if high is not None and self._computed(high) != sign:
            return None
        region: Region = self._everywhere.narrowed({self._symbol: (low, high)})
        value = region.read(self._formula)
        proved = region.positive(sign * value) if sign else not value
        return sign if proved else None


def _joined(runs: Iterable[Run]) -> tuple[Run, ...]:
    joined: list[Run] = []
    for run in runs:
        if joined and joined[-1].sign == run.sign:
            run = Run(joined.pop().first, run.last, run.sign)  # noqa: PLW2901 - it grows
        joined.append(run)
    return tuple(joined)


def sign_of_maxima(left: Sequence[Chart], right: int, step: int) -> Chart:
    """The sign of max(left) - max(right), from the charts of all differences of their elements.

    Parameters
    ----------
    left : sequence of Chart
        The charts of each element of the left side minus each of the right, the right ones
        together.
    right : int
        How many elements the right side has.
    """
    rows = [
        reduce(_merger(min, step), left[start : start + right])
        for start in range(0, len(left), right)
    ]
    return reduce(_merger(max, step), rows)


def _merger(choose: Callable[[int, int], int], step: int) -> Callable[[Chart, Chart], Chart]:
    def merged(one: Chart, other: Chart) -> Chart:
        starts = sorted({run.first for run in (*one.runs, *other.runs)})
        ends = [*(start - step for start in starts[1:]), one.runs[-1].last]
        runs = (
            Run(start, end, choose(_at(one, start), _at(other, start)))
            for start, end in zip(starts, ends, strict=True)
        )
        return Chart(_joined(runs), one.proved + other.proved, one.computed + other.computed)

    return merged


def _at(chart: Chart, value: int) -> int:
    return next(run.sign for run in reversed(chart.runs) if run.first <= value)
