"""The stages of the document: closed forms, and what the references differ in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from symcost.cost import Cost, as_rational
from symcost.execution import Execution
from symcost.render.document.display import LABELS, SHOWN, Stages, displayed, math


@dataclass(frozen=True)
class StageSection:
    """The closed forms of a stage and of its parts."""

    name: str
    formulas: Mapping[str, Sequence[str]]
    parts: Mapping[str, Mapping[str, Sequence[str]]]


def stage_section(name: str, cost: Cost) -> StageSection:
    """The closed forms of a stage and its parts."""

    def shown(of: Cost) -> dict[str, list[str]]:
        amounts = {metric: of.figure(metric) for metric in SHOWN}
        return {m: displayed(LABELS[m], amount) for m, amount in amounts.items() if amount != 0}

    return StageSection(
        name, shown(cost), {part: shown(share) for part, share in cost.parts.items()}
    )


@dataclass(frozen=True)
class DifferenceRow:
    """A part and metric in which the references differ, and by how much."""

    where: str
    metric: str
    difference: str


def differences(by_reference: Mapping[str, Mapping[str, Stages]]) -> list[DifferenceRow]:
    """Vendor minus transformers, wherever that is not zero."""
    ours, theirs = (by_reference[name][Execution.EAGER] for name in ("vendor", "transformers"))
    rows = []
    for stage, cost in ours.items():
        for part, share in cost.parts.items():
            other = theirs[stage].parts[part]
            if stage == "prefill" and part == "vision":
                continue
            for metric in ("matrix_flops", "vector_flops", "weight_bytes"):
                change = sp.expand(
                    as_rational(share.figure(metric)) - as_rational(other.figure(metric))
                )
                if change != 0:
                    rows.append(DifferenceRow(f"{stage} / {part}", metric, math(change)))
    return rows
