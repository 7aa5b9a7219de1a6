"""`symcost verify` as a user drives it: what it shows, and how it leaves."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from symcost import verify as requirements
from symcost.cli.main import main
from symcost.cli.output import verification_table
from symcost.verify import verification
from symcost.verify.comparison import Formulas
from symcost.verify.port import Real
from symcost.verify.verification import verify

torch.set_num_threads(1)

LLAMA = ("verify", "deepseek-ocr", "--quick", "--target", "llama")


@pytest.fixture(scope="module")
def real() -> Real:
    return Real()


@pytest.fixture(scope="module")
def formulas() -> Formulas:
    return Formulas()


@pytest.fixture(autouse=True)
def made_once(real, monkeypatch):
    """The real model is the same in every verification."""
    monkeypatch.setattr(verification, "Real", lambda: real)


@pytest.fixture
def stated_once(formulas, monkeypatch):
    """So are the formulas, where a test leaves the rules as they are."""
    monkeypatch.setattr(verification, "Formulas", lambda _: formulas)


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    shown = capsys.readouterr()
    return int(left.value.code or 0), shown.out, shown.err


@pytest.mark.usefixtures("stated_once")
def test_a_table_shows_predicted_counted_and_difference(capsys):
    code, out, err = run(capsys, *LLAMA)
    assert (code, err) == (0, "")
    for word in ("predicted", "counted", "difference", "attention block", "prefill", "decode"):
        assert word in out
    assert "worst difference 0" in " ".join(out.split())


@pytest.mark.parametrize("width", [80, 100, 150, 200])
def test_no_number_breaks_on_a_narrow_terminal(width):
    from io import StringIO

    from rich.console import Console

    row = {
        "quantity": "matrix FLOPs",
        "counter": "FlopCounterMode",
        "stage": "vision",
        "part": "",
        "runs": 144,
        "predicted": 1_209_322_392_453_120,
        "counted": 1_209_322_392_453_119,
        "difference": 1,
    }
    found = {
        "rows": [row],
        "comparisons": 1,
        "module_paths": 1,
        "comparisons_not_zero": 1,
        "worst_difference": 1,
        "versions": {},
        "mutants": None,
    }
    shown = StringIO()
    Console(file=shown, width=width).print(verification_table(found, width))
    exact = "1,209,322,392,453,119" in shown.getvalue()
    assert exact == (width >= 150)
    assert exact or shown.getvalue().count("1.209 P") == 2


@pytest.mark.usefixtures("stated_once")
def test_json_is_the_verification(capsys):
    code, out, _ = run(capsys, *LLAMA, "--format", "json")
    found = json.loads(out)
    assert code == 0
    assert found["problems"] == []
    assert found["targets"] == ["llama"]
    assert {row["difference"] for row in found["rows"]} == {0}
    assert all(row["predicted"] == row["counted"] > 0 for row in found["rows"])
    assert set(found["versions"]) == {"symcost", "torch", "transformers", "fvcore", "sympy"}


@pytest.mark.usefixtures("stated_once")
def test_markdown_goes_to_a_file(capsys, tmp_path):
    path = tmp_path / "verification.md"
    code, out, _ = run(capsys, *LLAMA, "--format", "markdown", "-o", str(path))
    assert (code, out) == (0, "")
    assert path.read_text().startswith("| quantity | counted by | stage | part | runs | predicted")


def test_a_broken_formula_leaves_with_1_and_names_it(capsys, change_rule):
    change_rule("linear", lambda rule: replace(rule, macs=rule.macs + 1))
    code, out, err = run(capsys, *LLAMA, "--format", "json")
    assert code == 1
    assert json.loads(out)["problems"]
    first, *_ = err.splitlines()
    assert first.startswith(
        "error: model.language_model.layers.0.self_attn.q_proj: matrix FLOPs of "
    )
    assert "linear" in first
    assert "aten.mm" in first
    assert "difference 2 (batch" in first


@pytest.mark.usefixtures("stated_once")
def test_many_problems_are_cut(capsys, monkeypatch):
    def broken(*args, **named):
        result = verify(*args, **named)
        result.gaps = [f"gap {i}" for i in range(25)]
        return result

    monkeypatch.setattr(verification, "verify", broken)
    code, _, err = run(capsys, *LLAMA)
    lines = err.splitlines()
    assert code == 1
    assert (len(lines), lines[-1]) == (21, "error: and 5 more")


def test_missing_packages_are_told_in_one_line(capsys, monkeypatch):
    monkeypatch.setattr(requirements, "find_spec", lambda _: None)
    code, out, err = run(capsys, *LLAMA)
    assert (code, out) == (2, "")
    assert err == (
        "error: torch, transformers, fvcore cannot be imported; the real model needs the extra "
        "verify: pip install 'symcost[verify]', or pip install '.[verify]' in a clone\n"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("verify", "foo"), "model is 'foo'; allowed: deepseek-ocr"),
        (("verify", "deepseek-ocr", "--target", "x"), "'x' is not one of 'core', 'vision'"),
    ],
)
def test_bad_input_leaves_with_2(capsys, arguments, told):
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert told in err
    assert len(err.splitlines()) == 1


def test_an_unknown_model_is_told_before_missing_packages(capsys, monkeypatch):
    monkeypatch.setattr(requirements, "find_spec", lambda _: None)
    for command in ("verify", "prove"):
        code, _, err = run(capsys, command, "foo")
        assert (code, err) == (2, "error: model is 'foo'; allowed: deepseek-ocr\n")


def test_a_file_that_cannot_be_written_is_refused_before_the_work(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "below"):
        code, out, err = run(capsys, "verify", "deepseek-ocr", "-o", str(path))
        assert (code, out) == (2, "")
        assert "cannot be written" in err
