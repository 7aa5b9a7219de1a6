"""The JSON Schema of the files of formulas, which `formulas_json` writes."""

from __future__ import annotations

from typing import Any

from symcost.cost import METRICS
from symcost.execution import Execution
from symcost.symbols import CATALOGUE

_VARIADIC = ("+", "*", "min", "max")
_UNARY = ("abs", "floor", "ceiling")


def formulas_schema() -> dict[str, Any]:
    """The schema (draft 2020-12): all that a file of formulas holds, and nothing else."""
    formula = {"$ref": "#/$defs/formula"}
    stage = {"$ref": "#/$defs/stage"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:symcost:formulas",
        "title": "The formulas of a model as symcost writes them",
        **_object(
            {
                "model": {"type": "string", "description": "the model's name"},
                "reference": {"type": "string", "description": "the code that is counted"},
                "symbols": _object({name: {"$ref": "#/$defs/symbol"} for name in CATALOGUE}),
                "metrics": _object({name: {"const": text} for name, text in METRICS.items()}),
                "executions": _object({name.value: _map_of(stage) for name in Execution}),
                "modules": _map_of(_map_of({"$ref": "#/$defs/work"})),
            }
        ),
        "$defs": {
            "symbol": _object(
                {name: {"type": "string"} for name in ("latex", "meaning", "unit", "domain")}
            ),
            "stage": {
                "description": "the figures of a stage or part, and those of its parts",
                **_object(dict.fromkeys(METRICS, formula) | {"parts": _map_of(stage)}),
            },
            "work": {
                "description": "what one module computes",
                **_object({"macs": formula, "vector_flops": formula}),
            },
            "formula": {
                "description": "an integer, a symbol, or an operator and its operands",
                "type": ["integer", "string", "array"],
                "if": {"type": "array"},
                "then": {"$ref": "#/$defs/operation"},
                "else": {"if": {"type": "string"}, "then": {"enum": list(CATALOGUE)}},
            },
            "operation": {
                "anyOf": [
                    _operation({"enum": list(_VARIADIC)}, formula, 2, None),
                    _operation({"const": "^"}, formula, 2, 2),
                    _operation({"enum": list(_UNARY)}, formula, 1, 1),
                    {
                        "description": "a rational number: numerator and denominator",
                        "type": "array",
                        "prefixItems": [
                            {"const": "/"},
                            {"type": "integer"},
                            {"type": "integer", "minimum": 1},
                        ],
                        "minItems": 3,
                        "maxItems": 3,
                    },
                ]
            },
        },
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _map_of(values: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values}


def _operation(
    operator: dict[str, Any], operand: dict[str, Any], least: int, most: int | None
) -> dict[str, Any]:
    ends = {"minItems": least + 1} | ({} if most is None else {"maxItems": most + 1})
    return {"type": "array", "prefixItems": [operator], "items": operand, **ends}
