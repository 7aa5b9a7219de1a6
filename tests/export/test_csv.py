"""The table of figures: what it holds, and that its text means the figures."""

from __future__ import annotations

import csv
import io
import math
import re
from fractions import Fraction

import pytest

from symcost.errors import InputError
from symcost.exact import Evaluator
from symcost.export.csv_table import export_csv
from symcost.symbols import CATALOGUE, B
from tests.export.figures import different_figures, points


def rows(formulas):
    return list(csv.DictReader(io.StringIO(export_csv(formulas))))


def program(text):
    """The text as a program, by its own reading of brackets of conditions and whole numbers."""
    text = re.sub(r"\[([^\]]*)\]", r"int(\1)", text)
    return compile(re.sub(r"\b(\d+)\b", r"F(\1)", text), "csv", "eval")


def value(code, sizes):
    names = {name: Fraction(size) for name, size in sizes.items()}
    names["C"] = names["n_w"] * names["n_h"]
    known = {"F": Fraction, "int": int, "Min": min, "max": max, "Max": max}
    known |= {"ceiling": math.ceil, "floor": math.floor, "__builtins__": {}}
    return eval(code, known, names)  # noqa: S307 - a text that the test has made


@pytest.mark.parametrize("execution", ["eager", pytest.param("fused", marks=pytest.mark.slow)])
def test_the_text_means_the_figure(execution):
    formulas = different_figures(execution)
    programs = {row["name"]: program(row["formula"]) for row in rows(formulas)}
    assert set(programs) == set(formulas)
    for sizes in points(20):
        value_of = Evaluator({CATALOGUE[name].symbol: size for name, size in sizes.items()})
        for name, formula in formulas.items():
            assert value(programs[name], sizes) == value_of(formula), (name, sizes)


def test_a_row():
    (row,) = rows({"prefill.vision.sam.bytes_read": 3 * B})
    assert row == {
        "name": "prefill.vision.sam.bytes_read",
        "stage": "prefill",
        "part": "vision.sam",
        "metric": "bytes_read",
        "unit": "bytes",
        "formula": "3*B",
        "symbols": "B",
    }


def test_symbols_are_those_of_the_text():
    for row in rows(different_figures()):
        words = set(re.findall(r"[A-Za-z_]+", row["formula"])) & set(CATALOGUE)
        assert words <= set(row["symbols"].split())


@pytest.mark.parametrize("name", ["flops", "prefill.speed", ".flops", ""])
def test_names_that_are_none(name):
    with pytest.raises(InputError, match="STAGE"):
        export_csv({name: B})
