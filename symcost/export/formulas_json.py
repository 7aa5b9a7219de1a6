"""All formulas of a model as one JSON object: by stage, by part and by module."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from symcost.cost import MACS, METRICS, VECTOR_FLOPS, Cost
from symcost.exact import as_rational
from symcost.export.json_tree import encode
from symcost.symbols import CATALOGUE, SymbolInfo


def formulas_object(
    model: str, reference: str, by_execution: Mapping[str, Mapping[str, Cost]]
) -> dict[str, Any]:
    """The formulas of one reference.

    Parameters
    ----------
    by_execution : mapping
        The stages' symbolic costs under each execution.
    """
    return {
        "model": model,
        "reference": reference,
        "symbols": symbols_object(CATALOGUE.values()),
        "metrics": dict(METRICS),
        "executions": {
            execution: {stage: _stage(cost) for stage, cost in stages.items()}
            for execution, stages in by_execution.items()
        },
        "modules": {
            stage: {path: _work(cost.at(path)) for path in cost.paths}
            for stage, cost in next(iter(by_execution.values())).items()
        },
    }


def symbols_object(infos: Iterable[SymbolInfo]) -> dict[str, Any]:
    """What symbols mean, by name."""
    return {
        info.name: {
            "latex": info.latex,
            "meaning": info.meaning,
            "unit": info.unit,
            "domain": info.domain,
        }
        for info in infos
    }


def json_text(value: Any, indent: str = "") -> str:
    """JSON with an entry of an object on each line, and lists, such as formulas, on one."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False)
    inner = indent + " "
    entries = (f"{inner}{json.dumps(key)}: {json_text(v, inner)}" for key, v in value.items())
    return "{\n" + ",\n".join(entries) + "\n" + indent + "}"


def _stage(cost: Cost) -> dict[str, Any]:
    return {
        **{metric: encode(as_rational(cost.figure(metric))) for metric in METRICS},
        "parts": {name: _stage(part) for name, part in cost.parts.items()},
    }


def _work(cost: Cost) -> dict[str, Any]:
    return {
        "macs": encode(cost[MACS].amount),
        "vector_flops": encode(cost[VECTOR_FLOPS].amount),
    }
