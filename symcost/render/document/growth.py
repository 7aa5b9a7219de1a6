"""What grows how: changes of the worked example, and where terms cross."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from symcost.cost import Cost
from symcost.exact import as_rational
from symcost.models import load
from symcost.models.deepseek_ocr.geometry import TILE_SIZE, Views
from symcost.models.deepseek_ocr.workload import Workload, stage_costs


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


def shares(prefill: Cost) -> dict[str, float]:
    """The share of each part in the FLOPs of a prefill, in percent."""
    parts = {**prefill.parts["vision"].parts, **prefill.parts}
    return {
        name: float(100 * as_rational(part.flops) / as_rational(prefill.flops))
        for name, part in parts.items()
    }
