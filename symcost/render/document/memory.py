"""Experts, live activations and whole answers, as the document shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symcost.cost import LABELS, Cost
from symcost.exact import Amount, as_rational, simplest
from symcost.execution import Execution
from symcost.formulas import latex
from symcost.insight.subject import ANSWER
from symcost.models import load
from symcost.models.deepseek_ocr.config import DecoderConfig
from symcost.models.deepseek_ocr.routing import Assumption, touched
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import Workload, costs_of, stage_costs
from symcost.peaks import Condition, peaks
from symcost.render.document.display import Stages, displayed, math
from symcost.render.report import Report
from symcost.stages import over_tokens

TOKENS = (1, 2, 4, 8, 16, 32, 64, 128)
"""Tokens in a call for which distinct experts are shown."""

_SIGNS = {sp.Eq: "=", sp.Ge: r"\ge", sp.Gt: r"\gt", sp.Le: r"\le", sp.Lt: r"\lt"}


@dataclass(frozen=True)
class ExpertRow:
    """Distinct experts that so many tokens touch, by assumption and by the real router."""

    tokens: int
    least: str
    expected: str
    most: str
    simulated: str


def expert_rows(config: DecoderConfig, routing: Sequence[Mapping[str, Any]]) -> list[ExpertRow]:
    """The assumptions beside what the real router was seen to do.

    Parameters
    ----------
    routing : sequence of mapping
        The stored simulation.
    """
    simulated = {
        seen["tokens"]: f"{seen['mean']:.3f} ± {seen['half_width']:.3f}" for seen in routing
    }

    def shown(assumed: Assumption, tokens: int) -> str:
        return f"{float(touched(assumed, tokens, config)):.5g}"

    return [
        ExpertRow(
            tokens,
            shown(Assumption.LEAST, tokens),
            shown(Assumption.EXPECTED, tokens),
            shown(Assumption.MOST, tokens),
            simulated.get(tokens, ""),
        )
        for tokens in TOKENS
    ]


@dataclass(frozen=True)
class PeakRow:
    """A moment that can be the peak of a stage: where, how many bytes, and when it is the peak."""

    path: str
    amount: str
    conditions: Sequence[str]


def peak_rows(stages: Stages) -> dict[str, list[PeakRow]]:
    """The peak of live activations by cases, for two bytes per element.

    A prefill is told without its vision: its peak is the larger of both.
    """
    prefill = stages["prefill"].parts
    told = {
        "vision": stages["vision"],
        "prefill, decoder and head": prefill["decoder"] + prefill["lm_head"],
        "decode": stages["decode"],
    }
    return {name: _cases(cost.bind(Widths().bindings)) for name, cost in told.items()}


def _cases(cost: Cost) -> list[PeakRow]:
    return [
        PeakRow(
            peak.path,
            math(peak.amount),
            [_math(condition) for condition in peak.conditions],
        )
        for peak in peaks(cost.moments)
    ]


def _math(condition: Condition) -> str:
    if isinstance(condition, sp.Or | sp.And):
        word = " or " if isinstance(condition, sp.Or) else " and "
        return word.join(_math(part) for part in condition.args)
    left, right = latex(condition.lhs), latex(condition.rhs)
    return f"${left} {_SIGNS[condition.func]} {right}$"


BATCHES = (1, 8, 64)


@dataclass(frozen=True)
class AnswerRow:
    """The example page with an answer, for a batch of such requests under fused kernels."""

    batch: int
    prefill_share: float
    flops: Amount
    moved: Amount
    intensity: float
    experts: float
    resident: Amount


def answer_rows(model: str) -> list[AnswerRow]:
    """What a whole answer costs for each request of a batch."""
    return [_answer(model, batch) for batch in BATCHES]


def _answer(model: str, batch: int) -> AnswerRow:
    costs = costs_of(
        lambda seen: load(model, views=seen, execution=Execution.FUSED, lm_head="last"),
        Workload.from_options(batch=batch, new_tokens=ANSWER),
    )
    whole = costs.generation
    moved = as_rational(whole.bytes_moved)
    return AnswerRow(
        batch,
        float(100 * as_rational(whole.parts["prefill"].bytes_moved) / moved),
        simplest(as_rational(whole.flops) / batch),
        simplest(moved / batch),
        whole.intensity,
        float(costs.experts["decode"]),
        whole.resident_bytes,
    )


def answer_formulas(step: Cost) -> dict[str, list[str]]:
    """The closed forms of T decode steps."""
    steps = over_tokens(step)
    shown = ("matrix_flops", "bytes_read", "bytes_written")
    return {m: displayed(f"{LABELS[m]} of T tokens", steps.figure(m)) for m in shown}


def training(model: str, workload: Workload) -> Report:
    """The backward pass of a workload, as the reference runs."""
    stages = stage_costs(lambda seen: load(model, views=seen), workload, backward=True)
    return Report(model, "vendor", Execution.EAGER.value, workload.as_dict(), stages, {})
