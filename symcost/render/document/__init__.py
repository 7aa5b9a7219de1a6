"""What HOLISTIC_ANALYSIS.md shows: every number and formula of it, ready for the template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symcost.cost import LABELS, METRICS, Cost
from symcost.exact import Bindings, as_rational
from symcost.execution import Execution
from symcost.insight.subject import ANSWER
from symcost.layers.catalogue import GENERAL_LAYERS
from symcost.layers.kernels import FUSIONS
from symcost.models import load
from symcost.models.deepseek_ocr.config import published
from symcost.models.deepseek_ocr.geometry import MODES, TILE_SIZE, Views, views_of_page
from symcost.models.deepseek_ocr.reference import REFERENCES, VENDOR_PATHS
from symcost.models.deepseek_ocr.vision import PARTS
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import (
    DEFAULT_PAGE,
    Workload,
    stage_costs,
    symbolic_stages,
)
from symcost.operators import OPERATORS
from symcost.render.document import answers, evidence
from symcost.render.document.display import Stages, digits, displayed, math, unbroken
from symcost.render.document.example import (
    example_reports,
    page_facts,
    peaks,
    worked_tables,
)
from symcost.render.document.growth import growth_rows, shares
from symcost.render.document.layers import layer_section
from symcost.render.document.memory import (
    answer_formulas,
    answer_rows,
    expert_rows,
    peak_rows,
    training,
)
from symcost.render.document.stages import differences, stage_section
from symcost.render.report import Comparison
from symcost.render.sensitivity import growth_sentences
from symcost.rounded import duration
from symcost.symbols import CATALOGUE, C, K, S, U, w_w


def context(
    model: str,
    by_reference: Mapping[str, Mapping[str, Stages]],
    found: Mapping[str, str],
) -> dict[str, Any]:
    """All that the template names.

    Parameters
    ----------
    by_reference : mapping
        The symbolic stages of each reference under each execution.
    found : mapping of str to str
        The stored evidence by name.
    """
    config = published()
    stages = by_reference["vendor"][Execution.EAGER]
    views = views_of_page(*DEFAULT_PAGE)
    workload = Workload.from_options()
    example = example_reports(model, workload)
    bindings = workload.bindings
    touched = {name: example[Execution.EAGER].experts[name] for name in ("prefill", "decode")}
    by_stage = {"vision": bindings, **{s: bindings | {U: count} for s, count in touched.items()}}
    proofs = evidence.shown(model, found)
    found_bytes = proofs["moved"]
    decoder = sp.expand(stages["prefill"].parts["decoder"].matrix_flops)
    return {
        "model": model,
        "folder": evidence.folder(model),
        "config": config,
        "parameters": _parameters(stages),
        "moe_layers": config.decoder.layers - config.decoder.dense_layers,
        "vision_features": config.sam.downsample[1] + config.clip.hidden,
        "workload": workload,
        "views": views,
        "page": page_facts(workload, views, config),
        "example": example,
        "headline": example[Execution.EAGER].markdown(),
        "symbols": [info for info in CATALOGUE.values() if info.symbol != C],
        "metrics": METRICS,
        "labels": LABELS,
        "modes": _modes(model),
        "tile_size": TILE_SIZE,
        "image_tokens": displayed("image tokens", Views().image_tokens),
        "vision_tokens": displayed("vision tokens, as the paper counts", Views().vision_tokens),
        "operators": OPERATORS,
        "references": REFERENCES,
        "vendor_paths": VENDOR_PATHS,
        "parts": PARTS,
        "layers": [layer_section(config, layer) for layer in GENERAL_LAYERS],
        "stage_formulas": [stage_section(name, cost) for name, cost in stages.items()],
        "differences": differences(by_reference),
        "worked": worked_tables(stages, by_stage),
        "peaks": peaks(stages, by_stage),
        "attention_term": math(decoder.coeff(S, 2) * S**2),
        "touched": touched,
        "cache_growth": int(stages["decode"].bind(bindings | {K: 0}).kv_bytes),
        "comparison": Comparison(example).markdown(),
        "kernels": FUSIONS,
        "peak_cases": {
            execution: peak_rows(by_reference["vendor"][execution])
            for execution in (Execution.EAGER.value, Execution.FUSED.value)
        },
        "answer_formulas": answer_formulas(stages["decode"]),
        "answer_tokens": ANSWER,
        "answer": answer_rows(model),
        "training": training(model, workload).markdown(),
        "growth": growth_rows(model, workload, views),
        "devices": answers.device_rows(model),
        "conventions": answers.convention_rows(model),
        "published": answers.published(model),
        "limits": answers.limits(model),
        "exchanges": answers.exchanges(model),
        "spread": answers.spread_rows(model),
        "growing": _growing(model, bindings),
        "spread_on": answers.SPREAD_ON,
        "masked": answers.attention_share(model) / 2,
        "attention_share": answers.attention_share(model, context_len=4096, part="decoder."),
        "experts": expert_rows(config.decoder, found_bytes["routing"]),
        "shares": shares(example[Execution.EAGER].stages["prefill"]),
        **proofs,
        "human": unbroken,
        "duration": lambda seconds: duration(seconds).replace(" ", "&nbsp;"),
        "digits": digits,
    }


def _parameters(stages: Stages) -> dict[str, int]:
    prefill = stages["prefill"]
    parts = {**stages["vision"].parts, "decoder": prefill.parts["decoder"]}
    parts |= {"lm_head": prefill.parts["lm_head"], "together": prefill}
    return {name: int(as_rational(cost.weight_bytes) / w_w) for name, cost in parts.items()}


def _growing(model: str, bindings: Bindings) -> list[str]:
    """How the stages' FLOPs and the traffic of a step grow with each size, a sentence each."""
    stages = symbolic_stages(load(model, widths=Widths.SYMBOLIC))
    figures = [("vision", "flops"), ("prefill", "flops"), ("decode", "bytes_read")]
    return [
        sentence
        for stage, metric in figures
        for sentence in growth_sentences(
            f"`{stage}.{metric}`",
            as_rational(stages[stage].figure(metric)),
            bindings,
            show=math,
        )
    ]


@dataclass(frozen=True)
class ModeRow:
    """What a native mode makes of the example page."""

    name: str
    views: Views
    image_tokens: int
    vision_tokens: int
    stages: Mapping[str, Cost]


def _modes(model: str) -> list[ModeRow]:
    rows = []
    for name in MODES:
        workload = Workload.from_options(mode=name)
        costs = stage_costs(lambda seen: load(model, views=seen), workload)
        views = views_of_page(*DEFAULT_PAGE, name)
        rows.append(ModeRow(name, views, workload.image_tokens, workload.vision_tokens, costs))
    return rows
