"""The figures of costs in JSON, and compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symcost.cost import METRICS, Cost, Unit
from symcost.errors import InputError
from symcost.exact import Amount, as_rational
from symcost.symbols import Expr

if TYPE_CHECKING:
    from symcost.numeric.compiled import Compiled


def exact(amount: Amount) -> int | str:
    """A number for JSON: an integer, or p/q as text where widths make it a fraction."""
    fraction = isinstance(amount, Fraction) and amount.denominator != 1
    return str(amount) if fraction else int(amount)


def unit_of(metric: str) -> Unit:
    """What a figure is measured in, by the last of its names."""
    return Unit.FLOPS if metric.endswith("flops") else Unit.BYTES


def cost_named(costs: Mapping[str, Cost], name: str) -> tuple[Cost, str]:
    """The cost that `STAGE[.PART…].METRIC` speaks of, and its metric, which need not be one.

    Raises
    ------
    InputError
        There is no such stage or part; the message lists what there is.
    """
    *path, metric = name.split(".")
    parts, cost = costs, None
    for part in path:
        if part not in parts:
            raise InputError(
                f"metric {name!r} names {part!r}; allowed there: {', '.join(parts) or 'no parts'}"
            )
        cost = parts[part]
        parts = cost.parts
    if cost is None:
        raise InputError(f"metric {name!r} names no stage; allowed: {', '.join(costs)}")
    return cost, metric


def formula_of(costs: Mapping[str, Cost], name: str) -> Expr:
    """The formula of `STAGE[.PART…].METRIC`, such as "prefill.decoder.flops".

    Raises
    ------
    InputError
        A stage, part or metric is unknown; the message lists what there is.
    """
    cost, metric = cost_named(costs, name)
    if metric not in METRICS:
        raise InputError(f"metric {name!r} ends in {metric!r}; allowed: {', '.join(METRICS)}")
    return as_rational(cost.figure(metric))


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
