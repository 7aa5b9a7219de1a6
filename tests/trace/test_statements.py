"""Statements: the same text in every run, and without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from symcost.trace.statements import Claim, current_statements, of_tower, stated_formulas


@pytest.fixture(scope="module")
def formulas():
    return stated_formulas()


def test_statements_of_known_modules(formulas):
    stated = current_statements(formulas)
    assert stated["decode", "lm_head"] == "matrix_flops = 330956800*B"
    assert stated["prefill of text alone", ""] == (
        "matrix_flops = 61440*B*K*S + 61440*B*S**2 + 1148190720*B*S"
    )


def test_a_call_of_the_tower_is_a_page_without_tiles(formulas):
    vision = formulas[Claim.VISION]
    assert {str(s) for s in of_tower(vision)[""].free_symbols} == {"B", "I_g"}


def test_statements_and_judging_do_not_need_torch():
    code = (
        "import sys, symcost.trace.judging, symcost.trace.statements as statements;"
        "statements.current_statements(); print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("False\n", "")
