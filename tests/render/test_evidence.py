"""Stored evidence: shown where it is of the present formulas and whole, refused otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from symcost.errors import InputError
from symcost.render.document import evidence
from symcost.render.proof import certified, proof_markdown
from symcost.render.verification import verification_markdown
from symcost.trace.statements import current_statements, formulas_of
from symcost.verify.stated import digest, stated_by_page

PROJECT = Path(__file__).parents[2]
MODEL = "deepseek-ocr"
TEXTS = evidence.stored(MODEL, PROJECT)
VERIFICATION = json.loads(TEXTS["verification.json"])
PROOF = json.loads(TEXTS["proof.json"])


@pytest.fixture(scope="module")
def present():
    stages = stated_by_page()
    return digest(stages), current_statements(formulas_of(stages))


def test_what_is_stored_is_of_the_present_formulas(present):
    fingerprint, statements = present
    assert evidence.verification_of(MODEL, TEXTS["verification.json"], fingerprint) == VERIFICATION
    assert evidence.proof_of(MODEL, TEXTS["proof.json"], statements) == PROOF


def test_what_is_stored_holds_what_was_asked_for():
    assert VERIFICATION["worst_difference"] == 0
    assert VERIFICATION["mutants"]["survivors"] == []
    assert VERIFICATION["mutants"]["made"] > 7000
    assert {row["difference"] for row in VERIFICATION["rows"]} == {0}
    assert all(row["certified"] == row["with_work"] > 0 for row in PROOF["coverage"])
    assert len(PROOF["certificates"]) == sum(row["certified"] for row in PROOF["coverage"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"formulas": "0"}, "is of other formulas; verify these: symcost verify deepseek-ocr --f"),
        ({"targets": ["llama"]}, "is not of the full grid"),
        ({"grid": {}}, "is not of the full grid"),
        ({"problems": ["something is off"]}, "tells of problems: something is off"),
        ({"worst_difference": 5}, "is not as it was written"),
        ({"rows": VERIFICATION["rows"][:2]}, "is not as it was written"),
        ({"mutants": {"survivors": ["one"]}}, "is not as it was written"),
    ],
)
def test_a_verification_that_does_not_fit_is_refused(present, change, told):
    with pytest.raises(InputError, match=told):
        evidence.verification_of(MODEL, json.dumps(VERIFICATION | change), present[0])


def test_a_certificate_of_another_formula_is_refused(present):
    certificates = [dict(found) for found in PROOF["certificates"]]
    certificates[3]["statement"] += " + 1"
    path = certificates[3]["path"]
    with pytest.raises(InputError, match=f"proves another formula of {path} in vision") as caught:
        evidence.proof_of(MODEL, json.dumps(PROOF | {"certificates": certificates}), present[1])
    assert "symcost prove deepseek-ocr --format json -o generated/deepseek_ocr" in str(caught.value)


def test_a_proof_that_leaves_a_module_out_is_refused(present):
    some = [found for found in PROOF["certificates"] if "sam_encoder" not in found["path"]]
    with pytest.raises(InputError, match=r"has no certificate of model\.vision_tower\.sam_encoder"):
        evidence.proof_of(MODEL, json.dumps(PROOF | {"certificates": some}), present[1])
    leaf = "model.vision_tower.sam_encoder.layers.0.attn.qkv"
    some = [found for found in PROOF["certificates"] if found["path"] != leaf]
    with pytest.raises(InputError, match="is not complete in vision"):
        evidence.proof_of(MODEL, json.dumps(PROOF | {"certificates": some}), present[1])


@pytest.mark.parametrize(
    "change",
    [
        {"failures": ["one"]},
        {"coverage": []},
        {"coverage": [dict(PROOF["coverage"][0], certified=1)]},
    ],
)
def test_a_proof_that_is_not_whole_is_refused(present, change):
    with pytest.raises(InputError, match="is not complete"):
        evidence.proof_of(MODEL, json.dumps(PROOF | change), present[1])


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", '{"formulas": 1}'])
def test_what_is_no_evidence_is_refused(present, text):
    with pytest.raises(InputError, match="is not evidence as it is written"):
        evidence.verification_of(MODEL, text, present[0])
    with pytest.raises(InputError, match="is not evidence as it is written"):
        evidence.proof_of(MODEL, text, present[1])


def test_the_projects_own_evidence_comes_first(tmp_path):
    own = tmp_path / "generated" / "deepseek_ocr" / "proof.json"
    own.parent.mkdir(parents=True)
    own.write_text("own")
    texts = evidence.stored(MODEL, tmp_path)
    assert texts["proof.json"] == "own"
    assert texts["verification.json"] == TEXTS["verification.json"]


def test_missing_evidence_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "_STORED", ())
    with pytest.raises(InputError, match="is missing; make it: symcost verify deepseek-ocr"):
        evidence.stored(MODEL, tmp_path)


def test_equal_layers_stand_together():
    rows = {(row.stage, row.path): row for row in certified(PROOF["certificates"])}
    experts = rows["decode", "model.language_model.layers.1-11.mlp.experts"]
    assert (experts.modules, experts.first) == (11, "model.language_model.layers.1.mlp.experts")
    assert ("vision", "model.vision_tower.sam_encoder.layers.2,5,8,11.attn") in rows
    assert sum(row.modules for row in rows.values()) == len(PROOF["certificates"])


def test_markdown_tables_are_whole():
    shown = verification_markdown(VERIFICATION)
    assert shown.count("\n| ") == len(VERIFICATION["rows"]) + 1
    assert "0 unnoticed" in shown
    assert "`61440*B*K + 1148252160*B`" in proof_markdown(PROOF)
