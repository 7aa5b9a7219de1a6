"""What grows how: changes of the worked example, and where terms cross."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from symcost.cost import Cost, as_rational
from symcost.exact import Evaluator, Number
from symcost.models import load
from symcost.models.deepseek_ocr.geometry import TILE_SIZE, Views
from symcost.models.deepseek_ocr.workload import Workload, stage_costs
from symcost.render.document.display import Stages
from symcost.symbols import CATALOGUE, Expr, I_g, K, S, n_w


@dataclass(frozen=True)
class GrowthRow:
    """What a change of the workload does to each stage: factors of FLOPs and of bytes moved."""

    change: str
    factors: Mapping[str, tuple[float, float]]


def growth_rows(model: str, workload: Workload, views: Views) -> list[GrowthRow]:
    """Factors by which one change at a time multiplies the cost of each stage."""
    size, tokens = int(views.base_size), workload.context_len
    text = tokens - workload.image_tokens

    def costs(changed: Workload) -> dict[str, Cost]:
        return dict(stage_costs(lambda seen: load(model, views=seen), changed))

    def page(seen: Views) -> dict[str, Cost]:
        context = text + int(seen.image_tokens)
        return costs(Workload(seen, 1, context, context))

    base = costs(workload)
    changes = {
        f"twice the batch: $B = {2 * workload.batch}$": costs(Workload(views, 2, tokens, tokens)),
        f"twice the context: $S = {2 * tokens}$": costs(Workload(views, 1, 2 * tokens, tokens)),
        f"twice the cache: $K = {2 * tokens}$": costs(Workload(views, 1, tokens, 2 * tokens)),
        f"a global view of twice the side: $I_g = {2 * size}$": page(
            Views(2 * size, views.tile_size, views.columns, views.rows)
        ),
        "no crops: $C = 0$": page(Views(size, TILE_SIZE, 0, 0)),
    }
    return [
        GrowthRow(
            change,
            {
                stage: (
                    float(as_rational(cost.flops) / as_rational(base[stage].flops)),
                    float(as_rational(cost.bytes_moved) / as_rational(base[stage].bytes_moved)),
                )
                for stage, cost in changed.items()
            },
        )
        for change, changed in changes.items()
    ]


@dataclass(frozen=True)
class Crossing:
    """From which value on one term outweighs others."""

    question: str
    symbol: str
    value: int


def crossings(
    stages: Stages, ideal: Stages, bindings: Mapping[sp.Symbol, Number]
) -> list[Crossing]:
    """Where one term starts to outweigh the others."""
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


def shares(prefill: Cost) -> dict[str, float]:
    """The share of each part in the FLOPs of a prefill, in percent."""
    parts = {**prefill.parts["vision"].parts, **prefill.parts}
    return {
        name: float(100 * as_rational(part.flops) / as_rational(prefill.flops))
        for name, part in parts.items()
    }
