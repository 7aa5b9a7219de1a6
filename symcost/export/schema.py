"""The JSON Schemas of files of formulas: of a whole model, and of figures that were asked for."""

from __future__ import annotations

from typing import Any

from symcost.cost import METRICS
from symcost.execution import Execution
from symcost.figures import unit_of
from symcost.symbols import CATALOGUE

_VARIADIC = ("+", "*", "min", "max")
_UNARY = ("abs", "floor", "ceiling")


def formulas_schema() -> dict[str, Any]:
    """The schema (draft 2020-12): all that a file of a model's formulas holds, and nothing else."""
    stage = {"$ref": "#/$defs/stage"}
    properties = {
        "model": _MODEL,
        "reference": {"type": "string", "description": "the code that is counted"},
        "symbols": _object(dict.fromkeys(CATALOGUE, _SYMBOL)),
        "metrics": _object({name: {"const": text} for name, text in METRICS.items()}),
        "executions": _object({name.value: _map_of(stage) for name in Execution}),
        "modules": _map_of(_map_of({"$ref": "#/$defs/work"})),
    }
    definitions = {
        "stage": {
            "description": "the figures of a stage or part, and those of its parts",
            **_object(dict.fromkeys(METRICS, _FORMULA) | {"parts": _map_of(stage)}),
        },
        "work": {
            "description": "what one module computes",
            **_object({"macs": _FORMULA, "vector_flops": _FORMULA}),
        },
    }
    title = "The formulas of a model as symcost writes them"
    return _schema("formulas", title, properties, definitions)


def figures_schema() -> dict[str, Any]:
    """The schema of what `symcost export --lang json` writes; a formula is the same in both."""
    text = {"type": "string"}
    units = list(dict.fromkeys(unit_of(metric).value for metric in METRICS))
    properties = {
        "$schema": text,
        "model": _MODEL,
        "title": text,
        "assumptions": {"description": "what the figures hold for", **_map_of(text)},
        "symbols": {
            "description": "the symbols of the formulas",
            "propertyNames": {"enum": list(CATALOGUE)},
            **_map_of(_SYMBOL),
        },
        "figures": {
            "description": "by STAGE[.PART].METRIC",
            "minProperties": 1,
            **_map_of({"$ref": "#/$defs/figure"}),
        },
    }
    figure = _object(
        {
            "stage": text,
            "part": {"description": "empty where a figure is of a whole stage", **text},
            "metric": {"oneOf": [{"const": n, "description": t} for n, t in METRICS.items()]},
            "unit": {"enum": units},
            "formula": _FORMULA,
        }
    )
    title = "Figures of a model as symcost exports them"
    return _schema("figures", title, properties, {"figure": figure})


_FORMULA = {"$ref": "#/$defs/formula"}
_SYMBOL = {"$ref": "#/$defs/symbol"}
_MODEL = {"type": "string", "description": "the model's name"}


def _schema(
    name: str, title: str, properties: dict[str, Any], definitions: dict[str, Any]
) -> dict[str, Any]:
    """A schema of files that hold formulas."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:symcost:{name}",
        "title": title,
        **_object(properties),
        "$defs": {
            "symbol": _object(
                {name: {"type": "string"} for name in ("latex", "meaning", "unit", "domain")}
            ),
            **definitions,
            "formula": {
                "description": (
                    "an integer of any size, which doubles may not hold; a symbol; or an operator "
                    "and its operands, as they are in mathematics"
                ),
                "type": ["integer", "string", "array"],
                "if": {"type": "array"},
                "then": {"$ref": "#/$defs/operation"},
                "else": {"if": {"type": "string"}, "then": {"enum": list(CATALOGUE)}},
            },
            "operation": {
                "anyOf": [
                    _operation({"enum": list(_VARIADIC)}, _FORMULA, 2, None),
                    {
                        "description": "base and exponent",
                        **_operation({"const": "^"}, _FORMULA, 2, 2),
                    },
                    _operation({"enum": list(_UNARY)}, _FORMULA, 1, 1),
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
