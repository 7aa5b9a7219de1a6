"""The figures of costs in JSON, and compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symcost.cost import METRICS, Amount, Cost, Unit, as_rational

if TYPE_CHECKING:
    from symcost.numeric.compiled import Compiled


def exact(amount: Amount) -> int | str:
    """A number for JSON: an integer, or p/q as text where widths make it a fraction."""
    return str(amount) if isinstance(amount, Fraction) else int(amount)


def unit_of(metric: str) -> Unit:
    """What a figure is measured in, by the last of its names."""
    return Unit.FLOPS if metric.endswith("flops") else Unit.BYTES


def compile_costs(
    costs: Mapping[str, Cost], metrics: Sequence[str] | None = None, *, dtype: str | None = None
) -> Compiled:
    """Figures of several costs, such as the stages of a model, as one function of sizes.

    Parameters
    ----------
    costs : mapping of str to Cost
        By name; a figure is named after both, such as "prefill.flops".
    metrics : sequence of str, optional
        What is asked of each cost, all of METRICS unless given.
    dtype : {None, "float64"}
        Exact, or rounded to float64.
    """
    from symcost.numeric.compiled import Compiled  # noqa: PLC0415 - numba takes time to load

    asked = METRICS if metrics is None else metrics
    formulas = {
        f"{name}.{metric}": as_rational(cost.figure(metric))
        for name, cost in costs.items()
        for metric in asked
    }
    return Compiled(formulas, dtype=dtype)
