"""`symcost prove` as a user drives it. CI makes the whole proof by the program itself."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from symcost import verify as requirements
from symcost.trace import proving
from symcost.trace.cases import families, trace_all
from symcost.trace.judging import judge
from symcost.trace.statements import stated_formulas
from tests.cli.test_verify import run

torch.set_num_threads(1)

PROVE = ("prove", "deepseek-ocr")


@pytest.fixture(scope="module")
def decoder():
    """Traces of the full-size decoder only, in the cases of a single sequence and token."""
    family = families()["decoder"]
    return trace_all(wanted={"decoder": replace(family, cases=family.cases[:3])})


@pytest.fixture
def of_the_decoder(decoder, monkeypatch):
    """Traces do not depend on formulas, so they are made once."""
    monkeypatch.setattr(proving, "trace_all", lambda _: decoder)


@pytest.mark.usefixtures("of_the_decoder")
def test_what_is_not_proved_leaves_with_1(capsys):
    code, out, err = run(capsys, *PROVE, "--format", "json")
    found = json.loads(out)
    assert code == 1
    assert "there is no trace for" in err
    decode = next(row for row in found["coverage"] if row["stage"] == "decode")
    assert (decode["with_work"], decode["certified"]) == (158, 0)
    assert found["certificates"] == []
    assert found["model"] == "deepseek-ocr"
    assert found["reference"] == "transformers"


@pytest.mark.usefixtures("of_the_decoder")
def test_a_broken_formula_is_told_at_its_innermost_module(capsys, change_rule):
    change_rule("grouped_linear", lambda rule: replace(rule, macs=2 * rule.macs))
    code, out, err = run(capsys, *PROVE)
    assert code == 1
    assert "certified" in out
    path = "model.language_model.layers.1.mlp.experts"
    (told,) = [line for line in err.splitlines() if f"decode: {path}: " in line]
    flops = 2 * 6 * 3 * 1280 * 896  # of one token: its experts, and the products of each
    assert f"stated {2 * flops}, traced {flops}, difference {flops} (at B = 1, S = 1" in told


def test_the_whole_proof_is_shown_as_a_table(capsys, monkeypatch):
    def small(model, progress):
        progress("done", 1, 1)
        return judge(stated_formulas(model), trace_all(wanted={}))

    monkeypatch.setattr(proving, "prove", small)
    code, out, _ = run(capsys, *PROVE, "--format", "markdown")
    assert code == 1
    assert out.startswith("| stage | module | proved for all sizes | by |")


def test_missing_packages_are_told_in_one_line(capsys, monkeypatch):
    monkeypatch.setattr(requirements, "find_spec", lambda _: None)
    code, out, err = run(capsys, *PROVE)
    assert (code, out) == (2, "")
    assert "pip install 'symcost[verify]'" in err


def test_an_unknown_model_is_refused(capsys):
    code, _, err = run(capsys, "prove", "foo")
    assert (code, err) == (2, "error: model is 'foo'; allowed: deepseek-ocr\n")
