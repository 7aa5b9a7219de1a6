"""The worked example: one page, term by term, in the three executions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import sympy as sp

from symcost.exact import Evaluator, Number, as_rational
from symcost.execution import Execution
from symcost.formulas import Group, groups
from symcost.models import load
from symcost.models.deepseek_ocr.config import DeepseekOCRConfig
from symcost.models.deepseek_ocr.geometry import Views, queries
from symcost.models.deepseek_ocr.routing import Routing
from symcost.models.deepseek_ocr.workload import DEFAULT_PAGE, Workload, costs_of
from symcost.render.document.display import SHOWN, Stages, digits, math
from symcost.render.report import Report
from symcost.symbols import Expr, ceil_div


def example_reports(model: str, workload: Workload) -> dict[str, Report]:
    """The report of a workload under each execution."""
    return {execution.value: _report(model, workload, execution) for execution in Execution}


def _report(model: str, workload: Workload, execution: Execution) -> Report:
    costs = costs_of(lambda views: load(model, views=views, execution=execution), workload)
    experts = {"assumed": str(Routing()), **costs.experts}
    return Report(
        model,
        "vendor",
        execution.value,
        workload.as_dict(),
        costs.stages,
        experts,
        costs.generation,
    )


def page_facts(workload: Workload, views: Views, config: DeepseekOCRConfig) -> dict[str, Any]:
    """What the text says of the example page: features a side, grid, tokens, padding of windows."""
    width, height = DEFAULT_PAGE
    window = config.sam.window * config.sam.patch
    return {
        "width": width,
        "height": height,
        "ratio": width / height,
        "q": int(queries(views.base_size)),
        "t": int(queries(views.tile_size)),
        "columns": int(views.columns),
        "rows": int(views.rows),
        "crops": int(views.crops),
        "text_tokens": workload.context_len - workload.image_tokens - 1,
        "window_pixels": window,
        "windows": int(ceil_div(views.base_size, window)),
        "padded_pixels": int(ceil_div(views.base_size, window)) * window,
    }


@dataclass(frozen=True)
class TermRow:
    """A term of a formula with its value."""

    term: str
    value: str


@dataclass(frozen=True)
class Worked:
    """A formula of the worked example, term by term."""

    where: str
    terms: Sequence[TermRow]
    total: str


ByStage: TypeAlias = Mapping[str, Mapping[sp.Symbol, Number]]
"""The numbers of a workload's symbols in each stage."""


def worked_tables(stages: Stages, bindings: ByStage) -> dict[str, list[Worked]]:
    """Every formula of every part, term by term, by metric."""
    tables: dict[str, list[Worked]] = {}
    for stage, cost in stages.items():
        evaluator = Evaluator(bindings[stage])
        for part, share in cost.parts.items():
            if stage == "prefill" and part == "vision":
                continue
            for metric in SHOWN:
                amount = share.figure(metric)
                if amount == 0:
                    continue
                rows = [
                    TermRow(math(term), digits(evaluator(term))) for term in _flat(groups(amount))
                ]
                total = digits(evaluator(as_rational(amount)))
                worked = Worked(f"{stage} / {part}", rows, total)
                tables.setdefault(metric, []).append(worked)
    return tables


def _flat(found: Sequence[Group]) -> Iterator[Expr]:
    for group in found:
        for term in group.terms:
            yield group.factor * term


@dataclass(frozen=True)
class Peak:
    """The moment at which a stage holds most activations: where it is, and what is live there."""

    stage: str
    path: str
    terms: Sequence[TermRow]
    total: str


def peaks(stages: Stages, bindings: ByStage) -> list[Peak]:
    """The peak of live activations of each stage, term by term."""
    rows = []
    for stage, cost in stages.items():
        evaluator = Evaluator(bindings[stage])
        path, live = max(cost.moments, key=lambda moment: evaluator(moment[1]))
        terms = [
            TermRow(math(term), digits(evaluator(term)))
            for term in _flat(groups(live))
            if evaluator(term) != 0
        ]
        rows.append(Peak(stage, path, terms, digits(evaluator(live))))
    return rows
