"""The JSON Schema: files of formulas are valid, broken ones are not."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings

from symcost.export.figures_json import export_json
from symcost.export.json_tree import encode
from symcost.export.schema import figures_schema, formulas_schema
from symcost.export.targets import About
from symcost.symbols import B
from tests.export.test_json_tree import FORMULAS

GENERATED = Path(__file__).parents[2] / "generated" / "deepseek_ocr"
SCHEMA = jsonschema.Draft202012Validator(formulas_schema())
OF_FORMULA = jsonschema.Draft202012Validator(
    {"$ref": "#/$defs/formula", "$defs": formulas_schema()["$defs"]}
)


def file(reference):
    text = (GENERATED / f"formulas_{reference}.json").read_text(encoding="utf-8")
    return json.loads(text)


@pytest.fixture(scope="module")
def small():
    """A file with one stage of each execution and few modules."""
    whole = file("vendor")
    for stages in whole["executions"].values():
        del stages["prefill"], stages["vision"]
    whole["modules"] = {"decode": dict(list(whole["modules"]["decode"].items())[:5])}
    return whole


@pytest.mark.parametrize("schema", [formulas_schema(), figures_schema()])
def test_the_schema_is_one(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema


def test_a_formula_is_the_same_in_both():
    one, other = formulas_schema()["$defs"], figures_schema()["$defs"]
    assert {name: one[name] for name in ("formula", "operation", "symbol")} == {
        name: other[name] for name in ("formula", "operation", "symbol")
    }


@pytest.mark.parametrize(
    "reference", ["transformers", pytest.param("vendor", marks=pytest.mark.slow)]
)
def test_generated_files_are_valid(reference):
    """Modules that compute the same, such as those of layers, once; few stages again."""
    whole = file(reference)
    for execution in ("fused", "ideal"):
        whole["executions"][execution] = {"decode": whole["executions"][execution]["decode"]}
    for stage, modules in whole["modules"].items():
        different = {str(work): path for path, work in modules.items()}
        whole["modules"][stage] = {path: modules[path] for path in different.values()}
    SCHEMA.validate(whole)


@given(FORMULAS)
@settings(max_examples=30)
def test_every_formula_is_valid(formula):
    OF_FORMULA.validate(encode(formula))


@pytest.mark.parametrize(
    "value",
    [
        None, True, 1.5, {}, [], "x", "E + 1", ["eval", "B"], ["+", "B"], ["^", "B", 2, 3],
        ["abs", "B", "S"], ["/", 1, 0], ["/", "B", 2], ["/", 1, True], [["+"], 1, 2],
        ["+", 1, ["lambda", 2]], ["min", 1, ["max", "B"]], ["floor"], ["*", "B", None],
    ],
)  # fmt: skip
def test_what_is_no_formula_is_not_valid(value):
    assert not OF_FORMULA.is_valid(value)


def without(*path):
    def change(document):
        for name in path[:-1]:
            document = document[name]
        del document[path[-1]]

    return change


def holding(value, *path):
    def change(document):
        for name in path[:-1]:
            document = document[name]
        document[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        without("model"),
        without("symbols", "B", "meaning"),
        without("executions", "fused"),
        without("executions", "eager", "decode", "flops"),
        without("executions", "eager", "decode", "parts", "decoder", "parts"),
        holding(1, "model"),
        holding({}, "more"),
        holding("FLOP", "metrics", "flops"),
        holding(1.25, "executions", "eager", "decode", "flops"),
        holding(["+", "B", "x"], "executions", "ideal", "decode", "parts", "decoder", "flops"),
        holding({"macs": 1}, "modules", "decode", "lm_head"),
        holding([], "modules"),
    ],
)
def test_broken_files_are_not_valid(small, change):
    SCHEMA.validate(small)
    broken = copy.deepcopy(small)
    change(broken)
    assert not SCHEMA.is_valid(broken)


@pytest.mark.parametrize(
    "change",
    [
        without("$schema"),
        without("assumptions"),
        holding({}, "figures"),
        holding({}, "symbols", "x"),
        holding("speed", "figures", "decode.flops", "metric"),
        holding("seconds", "figures", "decode.flops", "unit"),
        holding(0.5, "figures", "decode.flops", "formula"),
        without("figures", "decode.flops", "part"),
    ],
)
def test_broken_exports_are_not_valid(change):
    text, schema = export_json({"decode.flops": 2 * B}, About("deepseek-ocr"))
    validator, document = jsonschema.Draft202012Validator(json.loads(schema)), json.loads(text)
    validator.validate(document)
    change(document)
    assert not validator.is_valid(document)
