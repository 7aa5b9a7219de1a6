"""The stages of the document: closed forms, and what the references differ in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symcost.cost import LABELS, Cost
from symcost.execution import Execution
from symcost.insight.changes import WORK, part_changes, parts_of
from symcost.render.document.display import SHOWN, Stages, displayed, math


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
    ours, theirs = (
        parts_of(by_reference[name][Execution.EAGER]) for name in ("vendor", "transformers")
    )
    return [
        DifferenceRow(change.where, change.metric, math(change.difference))
        for change in part_changes(theirs, ours, (*WORK, "weight_bytes"))
    ]
