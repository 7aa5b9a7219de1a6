"""What HOLISTIC_ANALYSIS.md shows: every number and formula of it, ready for the template."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp

from symcost.cost import Amount, Cost, as_rational
from symcost.exact import Evaluator, Number
from symcost.execution import Execution, cost_of
from symcost.graph import Graph
from symcost.layers.catalogue import GENERAL_LAYERS
from symcost.models import load
from symcost.models.deepseek_ocr.config import DeepseekOCRConfig, published
from symcost.models.deepseek_ocr.geometry import MODES, TILE_SIZE, Views, views_of_page
from symcost.models.deepseek_ocr.reference import REFERENCES, VENDOR_PATHS
from symcost.models.deepseek_ocr.vision import PARTS
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import Workload, stage_costs
from symcost.operators import OPERATORS
from symcost.render.figures import METRICS, figure, human
from symcost.render.formulas import Group, grouped, groups, latex, latex_groups
from symcost.render.report import Report
from symcost.symbols import (
    CATALOGUE,
    B,
    C,
    D,
    E,
    Expr,
    F,
    H,
    I_g,
    I_t,
    K,
    M,
    N_h,
    N_kv,
    P,
    S,
    V,
    c_i,
    c_o,
    k,
    n_0,
    n_h,
    n_w,
    w_w,
)
from symcost.tensor import Piece

Stages = Mapping[str, Cost]
EXAMPLE_PAGE = (1654, 2339)
LABELS = {
    name: name.replace("_", " ").replace("flops", "FLOPs").replace("kv", "KV") for name in METRICS
}
_SHOWN = [name for name in METRICS if name not in ("flops", "activation_bytes")]


def math(formula: Amount) -> str:
    """A formula between single dollars, for the middle of a line."""
    return f"${latex(formula)}$"


_LINE = 92
"""Signs that a line of displayed math can hold."""


def displayed(label: str, *forms: Amount) -> list[str]:
    """Equal formulas behind a label, as lines of displayed math that fit onto a page."""
    chain = " = ".join([rf"\text{{{label}}}", *(latex(form) for form in forms)])
    if _length(chain) <= _LINE:
        return [chain]
    lines: list[str] = []
    for form in forms:
        line = "=" if lines else rf"\text{{{label}}} ="
        for number, group in enumerate(latex_groups(form)):
            more = group if number == 0 or group.startswith("-") else f"+ {group}"
            if number and _length(line) + _length(more) > _LINE:
                lines.append(line)
                line = "{}"
            line = f"{line} {more}"
        lines.append(line)
    return lines


def _length(formula: str) -> int:
    """About how many signs a formula shows."""
    return len(re.sub(r"\\(?:text|left|right|frac)|\\[a-z]+|[{}^_ ]", "", formula))


def digits(amount: Amount) -> str:
    """A whole number with its digits in groups of three."""
    return str(amount) if isinstance(amount, Fraction) else grouped(int(amount), ",")


def unbroken(amount: Amount, unit: str = "") -> str:
    """A rounded number whose unit stays on its line."""
    return human(amount, unit).replace(" ", "&nbsp;")


def context(model: str, by_reference: Mapping[str, Mapping[str, Stages]]) -> dict[str, Any]:
    """All that the template names.

    Parameters
    ----------
    by_reference : mapping
        The symbolic stages of each reference under each execution.
    """
    config = published()
    stages = by_reference["vendor"][Execution.EAGER]
    workload = Workload.from_options()
    example = _example(model, workload)
    bindings = _bindings(workload)
    return {
        "model": model,
        "config": config,
        "parameters": _parameters(stages),
        "workload": workload,
        "page": EXAMPLE_PAGE,
        "example": example,
        "headline": example[Execution.EAGER].markdown(),
        "symbols": [info for info in CATALOGUE.values() if info.symbol != C],
        "crops": CATALOGUE["C"],
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
        "layers": [
            _layer(config, layer.title, layer.shape, layer.graph()) for layer in GENERAL_LAYERS
        ],
        "stage_formulas": [_stage_formulas(name, cost) for name, cost in stages.items()],
        "differences": _differences(by_reference),
        "worked": _worked(stages, bindings),
        "geometry": _geometry(workload),
        "executions": _executions(example),
        "growth": _growth(model, workload),
        "crossings": _crossings(stages, by_reference["vendor"][Execution.IDEAL], bindings),
        "shares": _shares(example[Execution.EAGER].stages),
        "latex": latex,
        "math": math,
        "human": unbroken,
        "digits": digits,
    }


def _example(model: str, workload: Workload) -> dict[str, Report]:
    return {execution.value: _report(model, workload, execution) for execution in Execution}


def _report(model: str, workload: Workload, execution: Execution) -> Report:
    stages = stage_costs(lambda views: load(model, views=views, execution=execution), workload)
    return Report(model, "vendor", execution.value, workload.as_dict(), stages)


def _bindings(workload: Workload) -> dict[sp.Symbol, Number]:
    views = workload.views or Views(64, 64, 0, 0)
    return {
        B: workload.batch,
        S: workload.context_len,
        K: workload.cached,
        I_g: int(views.base_size),
        I_t: int(views.tile_size),
        n_w: int(views.columns),
        n_h: int(views.rows),
        C: int(views.crops),
        **Widths().bindings,
    }


def _parameters(stages: Stages) -> dict[str, int]:
    prefill = stages["prefill"]
    parts = {**stages["vision"].parts, "decoder": prefill.parts["decoder"]}
    parts |= {"lm_head": prefill.parts["lm_head"], "together": prefill}
    return {name: int(as_rational(cost.weight_bytes) / w_w) for name, cost in parts.items()}


# Modes and geometry.


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
        views = views_of_page(*EXAMPLE_PAGE, name)
        costs = stage_costs(lambda seen: load(model, views=seen), workload)
        rows.append(ModeRow(name, views, workload.image_tokens, workload.vision_tokens, costs))
    return rows


def _geometry(workload: Workload) -> dict[str, int]:
    views = workload.views or Views(64, 64, 0, 0)
    return {
        "q": int(views.base_size) // 64,
        "t": int(views.tile_size) // 64,
        "columns": int(views.columns),
        "rows": int(views.rows),
    }


# Layers.


@dataclass(frozen=True)
class OperatorRow:
    """An operator of a layer in general form."""

    name: str
    operator: str
    macs: str
    vector_flops: str
    reads: str
    writes: str


@dataclass(frozen=True)
class FormulaRow:
    """A formula of a layer, in general and with the model's own sizes in it."""

    name: str
    general: str
    bound: str


@dataclass(frozen=True)
class LayerSection:
    """A layer: in total, in general and in the model's own numbers, and operator by operator."""

    title: str
    shape: str
    headline: Sequence[str]
    rows: Sequence[FormulaRow]
    sizes: str
    operators: Sequence[OperatorRow]


def _sizes(config: DeepseekOCRConfig) -> dict[str, dict[sp.Symbol, int]]:
    """The model's own sizes of each general layer."""
    sam, clip, text = config.sam, config.clip, config.decoder
    in_sam = {
        H: sam.hidden,
        N_h: sam.heads,
        M: sam.window,
        F: sam.mlp,
        n_0: sam.image_side // sam.patch,
    }
    in_clip = {H: clip.hidden, N_h: clip.heads, F: clip.mlp}
    in_text = {
        H: text.hidden,
        N_h: text.heads,
        N_kv: text.kv_heads,
        D: text.head_size,
        V: text.vocabulary,
        F: text.mlp,
    }
    experts = {H: text.hidden, F: text.expert_mlp, E: text.experts, k: text.experts_per_token}
    return {
        "Patch embedding": {H: sam.hidden, c_i: 3, P: sam.patch},
        "Absolute positions": in_sam,
        "LayerNorm": in_sam,
        "SAM attention in windows": in_sam,
        "SAM global attention": in_sam,
        "SAM MLP (GELU)": in_sam,
        "Convolution of the neck, 3 × 3": {c_i: sam.neck, c_o: sam.neck},
        "CLIP attention": in_clip,
        "CLIP MLP (QuickGELU)": in_clip,
        "Projector": {c_i: sam.downsample[1] + clip.hidden, c_o: text.hidden},
        "Router": experts,
        "Routed experts": experts,
    } | {
        layer.title: in_text
        for layer in GENERAL_LAYERS[GENERAL_LAYERS.index(_titled("Token embedding")) :]
        if layer.title not in ("Router", "Routed experts")
    }


def _titled(title: str) -> Any:
    return next(layer for layer in GENERAL_LAYERS if layer.title == title)


def _layer(config: DeepseekOCRConfig, title: str, shape: str, graph: Graph) -> LayerSection:
    cost = cost_of(graph, Execution.EAGER)
    sizes = {s: v for s, v in _sizes(config)[title].items() if s in cost.free_symbols}
    bound = cost.bind(sizes)
    headline = next(headline for headline in _HEADLINES if headline.of(cost) != 0)
    return LayerSection(
        title,
        shape,
        displayed(headline.label, headline.of(cost), *([headline.of(bound)] if sizes else [])),
        [
            FormulaRow(LABELS[metric], math(figure(cost, metric)), math(figure(bound, metric)))
            for metric in _SHOWN[1:]
            if figure(cost, metric) != 0
        ],
        ", ".join(f"${CATALOGUE[s.name].latex} = {grouped(v, '{,}')}$" for s, v in sizes.items()),
        [
            OperatorRow(
                operation.path,
                operation.operator,
                math(operation.macs),
                math(operation.vector_flops),
                math(_elements(operation.reads)),
                math(_elements(operation.writes)),
            )
            for operation in graph.operations
        ],
    )


@dataclass(frozen=True)
class _Headline:
    label: str
    of: Callable[[Cost], Amount]


_HEADLINES = (
    _Headline("MACs", lambda cost: cost.macs),
    _Headline("vector FLOPs", lambda cost: cost.vector_flops),
    _Headline("bytes read", lambda cost: cost.bytes_read),
)
"""What a layer is best known by: the first of these that it has."""


def _elements(pieces: Sequence[Piece]) -> Expr:
    return sp.Add(*(piece.elements for piece in pieces))


# Stages.


@dataclass(frozen=True)
class StageSection:
    """The closed forms of a stage and of its parts."""

    name: str
    formulas: Mapping[str, Sequence[str]]
    parts: Mapping[str, Mapping[str, Sequence[str]]]


def _stage_formulas(name: str, cost: Cost) -> StageSection:
    def shown(of: Cost) -> dict[str, list[str]]:
        amounts = {metric: figure(of, metric) for metric in _SHOWN}
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


def _differences(by_reference: Mapping[str, Mapping[str, Stages]]) -> list[DifferenceRow]:
    ours, theirs = (by_reference[name][Execution.EAGER] for name in ("vendor", "transformers"))
    rows = []
    for stage, cost in ours.items():
        for part, share in cost.parts.items():
            other = theirs[stage].parts[part]
            if stage == "prefill" and part == "vision":
                continue
            for metric in ("matrix_flops", "vector_flops", "weight_bytes"):
                change = sp.expand(
                    as_rational(figure(share, metric)) - as_rational(figure(other, metric))
                )
                if change != 0:
                    rows.append(DifferenceRow(f"{stage} / {part}", metric, math(change)))
    return rows


# The worked example.


@dataclass(frozen=True)
class TermRow:
    """A term of a formula with its value."""

    term: str
    value: str


@dataclass(frozen=True)
class Worked:
    """A formula of the worked example, term by term."""

    where: str
    metric: str
    meaning: str
    terms: Sequence[TermRow]
    total: str


def _worked(stages: Stages, bindings: Mapping[sp.Symbol, Number]) -> dict[str, list[Worked]]:
    evaluator = Evaluator(bindings)
    tables: dict[str, list[Worked]] = {}
    for stage, cost in stages.items():
        for part, share in cost.parts.items():
            if stage == "prefill" and part == "vision":
                continue
            for metric in _SHOWN:
                amount = figure(share, metric)
                if amount == 0:
                    continue
                rows = [
                    TermRow(math(term), digits(evaluator(term))) for term in _flat(groups(amount))
                ]
                total = digits(evaluator(as_rational(amount)))
                worked = Worked(f"{stage} / {part}", metric, METRICS[metric], rows, total)
                tables.setdefault(metric, []).append(worked)
    return tables


def _flat(found: Sequence[Group]) -> Iterator[Expr]:
    for group in found:
        for term in group.terms:
            yield group.factor * term


# Executions, growth, crossings.


@dataclass(frozen=True)
class ExecutionRow:
    """Bytes moved by a stage under each execution."""

    stage: str
    moved: Mapping[str, Amount]
    intensity: Mapping[str, float]
    peak: Mapping[str, Amount]


def _executions(example: Mapping[str, Report]) -> list[ExecutionRow]:
    return [
        ExecutionRow(
            stage,
            {name: report.stages[stage].bytes_moved for name, report in example.items()},
            {name: report.stages[stage].intensity for name, report in example.items()},
            {name: report.stages[stage].activation_bytes for name, report in example.items()},
        )
        for stage in ("vision", "prefill", "decode")
    ]


@dataclass(frozen=True)
class GrowthRow:
    """What a change of the workload does to each stage: factors of FLOPs and of bytes moved."""

    change: str
    factors: Mapping[str, tuple[float, float]]


def _growth(model: str, workload: Workload) -> list[GrowthRow]:
    views = workload.views or Views(64, 64, 0, 0)
    size, tokens = int(views.base_size), workload.context_len

    def larger(
        views: Views = views, batch: int = 1, context: int = tokens, cached: int = tokens
    ) -> dict[str, Cost]:
        changed = Workload(views, batch, context, cached)
        return dict(stage_costs(lambda seen: load(model, views=seen), changed))

    base = larger()
    changes = {
        f"twice the batch: $B = {2 * workload.batch}$": larger(batch=2),
        f"twice the context: $S = {2 * tokens}$": larger(context=2 * tokens),
        f"twice the cache: $K = {2 * tokens}$": larger(cached=2 * tokens),
        f"a global view of twice the side: $I_g = {2 * size}$": larger(
            Views(2 * size, views.tile_size, views.columns, views.rows), context=2 * tokens
        ),
        "no crops: $C = 0$": larger(Views(size, TILE_SIZE, 0, 0)),
    }
    return [
        GrowthRow(
            change,
            {
                stage: (
                    float(as_rational(cost.flops) / as_rational(base[stage].flops)),
                    float(as_rational(cost.bytes_moved) / as_rational(base[stage].bytes_moved)),
                )
                for stage, cost in costs.items()
            },
        )
        for change, costs in changes.items()
    ]


@dataclass(frozen=True)
class Crossing:
    """From which value on one term outweighs others."""

    question: str
    symbol: str
    value: int


def _crossings(
    stages: Stages, ideal: Stages, bindings: Mapping[sp.Symbol, Number]
) -> list[Crossing]:
    vision, prefill, decode = (stages[name] for name in ("vision", "prefill", "decode"))
    decoder = as_rational(prefill.parts["decoder"].matrix_flops)
    step = as_rational(decode.matrix_flops)
    sam = as_rational(vision.parts["sam"].matrix_flops).xreplace({n_w: sp.Integer(0)})
    traffic = as_rational(ideal["decode"].bytes_moved)
    cases = [
        (
            "one global view: attention to the whole grid outweighs the rest of SAM",
            I_g,
            2 * sp.expand(sam).coeff(I_g, 4) * I_g**4 - sam,
        ),
        (
            "prefill: attention outweighs the decoder's other matrix work",
            S,
            2 * sp.expand(decoder).coeff(S, 2) * S**2 - decoder,
        ),
        (
            "prefill: the decoder and its head outweigh the vision of this page",
            S,
            as_rational(prefill.matrix_flops) - 2 * as_rational(vision.matrix_flops),
        ),
        (
            "decode: attention to the cache outweighs everything else",
            K,
            2 * sp.expand(step).coeff(K, 1) * K - step,
        ),
        (
            "decode, at best: reading the cache outweighs reading weights and the rest",
            K,
            2 * sp.expand(traffic).coeff(K, 1) * K - traffic,
        ),
    ]
    return [
        Crossing(question, CATALOGUE[symbol.name].latex, _first(difference, symbol, bindings))
        for question, symbol, difference in cases
    ]


def _first(difference: Expr, symbol: sp.Symbol, bindings: Mapping[sp.Symbol, Number]) -> int:
    """The smallest value of a symbol from which a difference that changes sign once is positive."""
    step = CATALOGUE[symbol.name].multiple_of

    def positive(count: int) -> bool:
        return Evaluator({**bindings, symbol: count * step})(difference) > 0

    high = 1
    while not positive(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if positive(middle) else (middle, high)
    return high * step


def _shares(stages: Mapping[str, Cost]) -> dict[str, dict[str, float]]:
    """The share of each part in the FLOPs of its stage."""
    prefill = stages["prefill"]
    parts = {**prefill.parts["vision"].parts, **prefill.parts}
    del parts["vision"]
    return {
        "prefill": {
            name: float(as_rational(p.flops) / as_rational(prefill.flops))
            for name, p in parts.items()
        },
        "decode": {
            name: float(as_rational(p.flops) / as_rational(stages["decode"].flops))
            for name, p in stages["decode"].parts.items()
        },
    }
