"""A verification as people read it. It is given as the object that JSON shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symcost.rounded import human

VERIFICATION_COLUMNS = (
    "quantity",
    "counted by",
    "stage",
    "part",
    "runs",
    "predicted",
    "counted",
    "difference",
)
NUMERIC_COLUMNS = VERIFICATION_COLUMNS[4:]


def verification_cells(row: Mapping[str, Any], *, rounded: bool = False) -> tuple[str, ...]:
    """A row as text; predicted and counted are sums over all runs."""
    show = _rounded if rounded else digits
    return (
        row["quantity"],
        row["counter"],
        row["stage"],
        row["part"] or "whole",
        str(row["runs"]),
        show(row["predicted"]),
        show(row["counted"]),
        digits(row["difference"]),
    )


def _rounded(amount: int | str) -> str:
    return human(amount) if isinstance(amount, int) else amount


def digits(amount: int | str) -> str:
    """A whole number with its digits in groups of three; other text as it is."""
    return f"{amount:,}" if isinstance(amount, int) else amount


def verification_summary(found: Mapping[str, Any]) -> list[str]:
    """What came out, in a few sentences."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    lines = [
        f"{found['comparisons']:,} comparisons at {found['module_paths']} module paths, "
        f"{found['comparisons_not_zero']:,} of them of something else than zero; worst difference "
        f"{digits(found['worst_difference'])} ({versions})"
    ]
    mutants = found["mutants"]
    if mutants is not None:
        unnoticed = len(mutants["survivors"])
        lines.append(
            f"{mutants['made']:,} formulas made wrong on purpose: "
            f"{mutants['made'] - mutants['refused'] - unnoticed:,} noticed by the comparison, "
            f"{mutants['refused']:,} refused for their sizes, {unnoticed} unnoticed"
        )
    return lines


def verification_markdown(found: Mapping[str, Any]) -> str:
    """The verification as a table, with what came out behind it."""
    aligned = ("---:" if column in NUMERIC_COLUMNS else "---" for column in VERIFICATION_COLUMNS)
    lines = [
        "| " + " | ".join(VERIFICATION_COLUMNS) + " |",
        "| " + " | ".join(aligned) + " |",
        *("| " + " | ".join(verification_cells(row)) + " |" for row in found["rows"]),
        "",
        *(f"* {line}" for line in verification_summary(found)),
    ]
    return "\n".join(lines) + "\n"
