"""The table of figures: what it holds beside its text."""

from __future__ import annotations

import csv
import io
import re

import pytest

from symcost.errors import InputError
from symcost.export.csv_table import export_csv
from symcost.symbols import CATALOGUE, B
from tests.export.figures import different_figures


def rows(formulas):
    return list(csv.DictReader(io.StringIO(export_csv(formulas))))


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
