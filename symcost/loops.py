"""Loops around operators: how often a body runs, and what that makes of its cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symcost.symbols import ZERO, Expr


@dataclass(frozen=True, eq=False)
class Loop:
    """A body that runs several times, or that runs only under a condition.

    Parameters
    ----------
    count : sympy.Expr
        How often the body runs.
    condition : sympy.Expr, optional
        A product of non-negative symbols, zero where the body does not run at all. Sizes in the
        body that hold it as a factor vanish by themselves; only what would remain is multiplied
        by `count`.
    """

    count: Expr
    condition: Expr | None = None

    def times(self, cost: Expr) -> Expr:
        """The cost of all runs from the cost of one."""
        if self.condition is not None:
            gone = dict.fromkeys(self.condition.free_symbols, ZERO)
            if cost.xreplace(gone) == 0:
                return cost
        return self.count * cost


def times(cost: Expr, loops: Sequence[Loop]) -> Expr:
    """The cost of a body inside nested loops."""
    for loop in loops:
        cost = loop.times(cost)
    return cost
