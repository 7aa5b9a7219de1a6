"""The command diff, as its users drive it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import run

STORED = Path(__file__).parents[2] / "generated" / "deepseek_ocr" / "formulas_vendor.json"


def diff(*arguments: str, code: int = 0) -> str:
    done = run("diff", "deepseek-ocr", *arguments)
    assert done.returncode == code, done.stderr
    if code:
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        return done.stderr
    return done.stdout


def test_a_head_on_the_last_token_saves_the_others():
    found = json.loads(diff("--change", "lm_head=last", "--format", "json"))
    assert found["changed"] == {"lm_head": ["all", "last"]}
    flops = [c for c in found["operators"] if c["metric"].endswith("flops")]
    assert [(c["where"], c["path"], c["kind"]) for c in flops] == [
        ("prefill / lm_head", "lm_head", "changed")
    ]
    assert flops[0]["before"] == "330956800*B*S"
    assert flops[0]["after"] == "330956800*B"
    effect = {(e["stage"], e["metric"]): e for e in found["effect"]}
    assert effect["prefill", "flops"]["difference"] == -330956800 * 923
    assert effect["decode", "flops"]["difference"] == 0
    assert effect["vision", "flops"]["ratio"] == 1


def test_a_changed_width_is_told_in_numbers():
    shown = diff("--change", "width=kv=1")
    assert "│ prefill / decoder │ kv_bytes      │ -30720*B*S " in shown
    assert "width weights=2,activations=2,kv=2 → kv=1" in shown
    assert "operators and weights: 0 appear, 0 disappear, 16 change" in shown


def test_what_a_reference_has_appears_and_disappears():
    shown = diff("--change", "reference=transformers", "--format", "markdown")
    assert (
        "| rotary_emb: angles, cos, scale_cos, sin, scale_sin | vector_flops | appears: " in shown
    )
    assert "| layers.0.self_attn.rotary_emb: angles | matrix_flops | disappears: $128 S$ |" in shown
    assert "| prefill / decoder | matrix_flops | $-1536 S$ |" in shown


def test_another_workload_has_the_same_formulas(tmp_path):
    file = tmp_path / "told.txt"
    assert diff("--change", "batch=2", "--no-image", "-o", str(file)) == ""
    shown = file.read_text(encoding="utf-8")
    assert "no formula differs" in shown
    assert "batch default → 2" in shown
    row = next(line for line in shown.splitlines() if "│ decode     │ kv_bytes" in line)
    assert row.rstrip("│ ").endswith(" 2")


def test_the_stored_formulas_are_those_of_this_version():
    shown = diff("--from", str(STORED))
    assert "no formula differs" in shown
    assert "no figure of the workload differs" in shown


def test_a_formula_that_was_another_is_found(tmp_path):
    """Two operators and a part of a stored file are changed, and nothing else is told."""
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    modules = stored["modules"]["decode"]
    modules["lm_head"]["macs"] = ["*", 5, "B"]
    modules["gone"] = {"macs": 0, "vector_flops": "B"}
    stage = stored["executions"]["eager"]["decode"]
    stage["parts"]["lm_head"]["weight_bytes"] = 7
    stage["weight_bytes"] = 8
    file = tmp_path / "older.json"
    file.write_text(json.dumps(stored), encoding="utf-8")
    found = json.loads(diff("--from", str(file), "--format", "json"))
    assert [(c["path"], c["kind"], c["before"], c["after"]) for c in found["operators"]] == [
        ("lm_head", "changed", "10*B", "330956800*B"),
        ("gone", "disappears", "B", "0"),
    ]
    (part,) = found["parts"]
    assert (part["where"], part["difference"]) == ("decode / lm_head", "165478400*w_w - 7")
    changed = [e for e in found["effect"] if e["difference"]]
    assert [(e["stage"], e["metric"], e["before"]) for e in changed] == [
        ("decode", "weight_bytes", 8)
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give what to compare with"),
        (("--change", "batch=2", "--from", str(STORED)), "--from excludes --change"),
        (("--change", "speed=2"), "change is 'speed=2'; allowed: NAME=VALUE for reference"),
        (("--change", "batch"), "change is 'batch'"),
        (("--change", "batch=two"), "change batch is 'two'; allowed: an integer"),
        (("--change", "batch=2", "--change", "batch=3"), "given twice"),
        (("--change", "lm_head=some"), "lm_head is 'some'; allowed: all, last"),
        (("--change", "reference=x"), "reference is 'x'"),
        (("--change", "config=none.json"), "none.json"),
        (("--change", "context_len=5"), "context-len is 5"),
        (("--from", "README.md"), "README.md is no file of formulas"),
        (("--from", str(STORED.with_name("proof.json"))), "'executions' is missing"),
        (("--from", str(STORED), "--new-tokens", "2"), "--from excludes"),
        (("--from", str(STORED), "--execution", "vision=fused"), "has eager, fused, ideal"),
        (("--from", str(STORED), "--width", "experts.weights=1"), "--from excludes widths"),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments, told):
    assert told in diff(*arguments, code=2)


def test_a_file_with_something_that_is_no_formula_is_refused(tmp_path):
    file = tmp_path / "broken.json"
    for broken in (["exec", 1], {"a": 1}, "nothing", 1.5):
        modules = {"decode": {"lm_head": {"macs": broken, "vector_flops": 0}}}
        stored = {"model": "deepseek-ocr", "reference": "vendor", "executions": {}}
        file.write_text(json.dumps(stored | {"modules": modules}), encoding="utf-8")
        assert f"{file} is no file of formulas" in diff("--from", str(file), code=2)
