"""Exported Python, C and JavaScript: run by themselves, they answer what formulas are exactly."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
import sympy as sp

from symcost import Widths, load
from symcost.cost import as_rational
from symcost.errors import DomainError, InputError
from symcost.exact import Evaluator
from symcost.export.c_code import export_c
from symcost.export.javascript_code import export_javascript
from symcost.export.python_code import export_python
from symcost.export.targets import About
from symcost.models.deepseek_ocr.routing import Routing
from symcost.models.deepseek_ocr.workload import symbolic_costs
from symcost.symbols import CATALOGUE, B, K, S, w_kv
from tests.export.code_support import (
    ABOUT,
    MOST,
    PAGE,
    chance_formulas,
    exact_values,
    expected,
    fields,
    model_formulas,
    once_changed,
    points,
    run_c,
    run_node,
    run_python,
)

BOTH = (model_formulas, chance_formulas)


def taken(formulas, stage):
    """The sizes that a stage takes: those of its formulas."""
    symbols = {
        s for name, f in formulas.items() if name.startswith(f"{stage}.") for s in f.free_symbols
    }
    return [name for name in CATALOGUE if name in {symbol.name for symbol in symbols}]


def asked_of(formulas, at):
    """Every stage at every point."""
    stages = {stage: taken(formulas, stage) for stage in fields(formulas)}
    return [(s, {n: point[n] for n in names}) for s, names in stages.items() for point in at]


def rows(which):
    """What each stage is to answer at each point, in the order of `asked_of`."""
    values = expected(which)
    for of in fields(which()).values():
        yield from zip(*(values[name] for name in of.values()), strict=True)


def wrong(which, found):
    """How many answers as text are not exact."""
    exact = [list(map(str, row)) for row in rows(which)]
    assert len(exact) == len(found) > 10_000
    return sum(list(row.values()) != of for row, of in zip(found, exact, strict=True))


@pytest.mark.parametrize("which", BOTH, ids=["model", "chance"])
def test_what_is_expected_is_what_the_evaluator_says(which):
    values, formulas = expected(which), which()
    for place in [*range(0, len(points()), 400), -1, -2, -3]:
        evaluator = Evaluator({CATALOGUE[n].symbol: v for n, v in points()[place].items()})
        assert {n: v[place] for n, v in values.items()} == {
            name: evaluator(formula) for name, formula in formulas.items()
        }


@pytest.mark.parametrize("which", BOTH, ids=["model", "chance"])
def test_python(which, tmp_path):
    code = export_python(which(), ABOUT)
    assert wrong(which, run_python(code, tmp_path, asked_of(which(), points()))) == 0


@pytest.mark.parametrize("which", BOTH, ids=["model", "chance"])
def test_javascript(which, tmp_path):
    code = export_javascript(which(), ABOUT)
    assert wrong(which, run_node(code, tmp_path, asked_of(which(), points()))) == 0


@pytest.mark.parametrize("which", BOTH, ids=["model", "chance"])
def test_c(which, tmp_path):
    """Exact or refused; what is refused is close to the limit or beyond it."""
    found = run_c(export_c(which(), ABOUT), tmp_path, which(), asked_of(which(), points()))
    exact = list(rows(which))
    assert len(exact) == len(found) > 10_000
    refused = 0
    for (status, figures), of in zip(found, exact, strict=True):
        assert status in (0, 1)
        assert status == 1 or figures == list(of)
        refused += status
        if which is model_formulas and status == 1:
            assert max(of) > MOST // 2
    assert len(found) // 20 < refused < len(found) // 2


def test_a_wrong_number_is_noticed(tmp_path):
    """Bytes of the cache for each token, off by one in one place of each language."""
    which, number = model_formulas, 61440
    at = asked_of(which(), points()[-3:-1])
    right = [list(map(str, row)) for row in rows(which)]
    per = len(points())
    right = [right[stage * per + place] for stage in range(4) for place in (per - 3, per - 2)]
    codes = {
        "python": (export_python(which(), ABOUT), "", run_python),
        "javascript": (export_javascript(which(), ABOUT), "n", run_node),
    }
    for text, suffix, run in codes.values():
        assert [list(row.values()) for row in run(text, tmp_path, at)] == right
        changed = run(once_changed(text, number, suffix), tmp_path, at)
        assert [list(row.values()) for row in changed] != right
    header, source = export_c(which(), ABOUT)
    found = run_c((header, once_changed(source, number, "")), tmp_path, which(), at)
    assert [list(map(str, figures)) for _, figures in found] != right


BAD = {"B": [0, -1], "S": [0], "I_g": [0, 100, -64], "I_t": [65], "n_w": [-1], "n_h": [-(2**63)]}


def test_sizes_outside_their_domains(tmp_path):
    """Each language names the size."""
    formulas = model_formulas()
    page = {name: PAGE[name] for name in taken(formulas, "prefill")}
    cases = [(name, value) for name, values in BAD.items() for value in values]
    asked = [("prefill", page | {name: value}) for name, value in cases]
    for found in (
        run_python(export_python(formulas, ABOUT), tmp_path, asked),
        run_node(export_javascript(formulas, ABOUT), tmp_path, asked),
    ):
        for (name, value), said in zip(cases, found, strict=True):
            assert said.startswith(f"{name} ({CATALOGUE[name].meaning}) is {value}; allowed: ")
    header, source = export_c(formulas, ABOUT)
    codes = {name: int(n) for name, n in re.findall(r"DEEPSEEK_OCR_BAD_(\w+) = (\d+)", header)}
    found = run_c((header, source), tmp_path, formulas, asked)
    assert found == [(codes[name], []) for name, _ in cases]


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_sizes_that_are_no_integers(value, tmp_path):
    asked = [("decode", {"B": value, "K": 1, "T": 1})]
    (said,) = run_python(export_python(model_formulas(), ABOUT), tmp_path, asked)
    assert said == f"B ({CATALOGUE['B'].meaning}) is {value!r}; allowed: an integer"


def test_the_limits_of_c_hold(tmp_path):
    """Where the header says that nothing overflows, nothing does, and they are no small sizes."""
    formulas = model_formulas()
    header, source = export_c(formulas, ABOUT)
    said = re.findall(r"Nothing overflows where ([^;]*);", header.replace("\n * ", " "))
    limits = [dict(part.split(" <= ") for part in one.split(", ")) for one in said]
    corners = [{name: int(most) for name, most in one.items()} for one in limits]
    assert [list(corner) for corner in corners] == [taken(formulas, s) for s in fields(formulas)]
    assert all(corner["B"] >= 64 and corner.get("S", 2**18) >= 2**18 for corner in corners)
    found = run_c(
        (header, source), tmp_path, formulas, list(zip(fields(formulas), corners, strict=True))
    )
    assert [status for status, _ in found] == [0] * 4


def test_fractions(tmp_path):
    """Widths and experts that are open, or fractions, make figures fractions in Python."""
    model = load("deepseek-ocr", widths=Widths.SYMBOLIC, routing=Routing.SYMBOLIC)
    cost = symbolic_costs(model)["decode"]
    formulas = {
        f"decode.{m}": as_rational(cost.figure(m)) for m in ("flops", "bytes_read", "kv_bytes")
    }
    point = {"B": 3, "K": 5, "T": 4, "w_w": Fraction(1, 2) + Fraction(2, 128), "w_a": 2}
    point |= {"w_kv": Fraction(1, 3), "U": Fraction(29, 7)}
    exec_namespace: dict = {}
    code = export_python(formulas, ABOUT)
    exec(compile(code, "exported.py", "exec"), exec_namespace)  # noqa: S102 - what was exported
    evaluator = Evaluator({CATALOGUE[n].symbol: v for n, v in point.items()})
    found = exec_namespace["decode"](**point)._asdict()
    assert found == {name[7:]: evaluator(formula) for name, formula in formulas.items()}
    assert type(found["flops"]) is int
    assert type(found["kv_bytes"]) is Fraction
    for export, language in ((export_c, "c"), (export_javascript, "javascript")):
        with pytest.raises(DomainError, match=rf"decode.bytes_read .* {language} .* export python"):
            export(formulas, ABOUT)


def test_fractions_of_whole_sizes(tmp_path):
    formulas = {"decode.bytes_read": (B + sp.Max(K, S) / 3) / 2, "decode.flops": B * (B + 1) / 2}
    asked = [("decode", {"B": b, "K": k, "S": 2}) for b in (1, 2) for k in (0, 3, 4)]
    found = run_python(export_python(formulas, ABOUT), tmp_path, asked)
    exact = exact_values(formulas, [point for _, point in asked])
    assert [[Fraction(v) for v in row.values()] for row in found] == [
        list(row) for row in zip(*exact.values(), strict=True)
    ]


REFUSED = {
    "no figures": ({}, "no figures"),
    "no stage": ({"flops": B}, "STAGE"),
    "no metric": ({"decode.speed": B}, "STAGE"),
    "a stage that is no name": ({"de-code.flops": B}, "cannot be the name"),
    "a stage that is a word of Python": ({"class.flops": B}, "cannot be the name"),
    "one name for two": ({"d.a.b_flops".replace("b_flops", "flops"): B, "d.a_flops": K}, "STAGE"),
    "a power without limits": ({"decode.flops": 2**K}, "limits"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_exported(case):
    formulas, said = REFUSED[case]
    for export in (export_python, export_c, export_javascript):
        with pytest.raises((InputError, DomainError), match=said):
            export(formulas, ABOUT)


def test_numbers_beyond_64_bits():
    formulas = {"decode.flops": 2**63 * B}
    with pytest.raises(DomainError, match="beyond 64 bits"):
        export_c(formulas, ABOUT)
    assert f"{2**63}n * B" in export_javascript(formulas, ABOUT)


@pytest.mark.parametrize("text", ["*/", '"""', "a\nb", "\\"])
def test_what_would_end_a_comment(text):
    with pytest.raises(InputError, match="comment"):
        About("deepseek-ocr", {"execution": text})


def test_sums_are_shown_as_sums():
    """A reader sees what a figure is made of."""
    code = export_python(model_formulas(), ABOUT)
    assert "    flops = matrix_flops + vector_flops\n" in code
    assert "    bytes_read = vision_bytes_read + decoder_bytes_read + lm_head_bytes_read\n" in code
    assert "    resident_bytes = weight_bytes + activation_bytes + kv_bytes\n" in code.replace(
        "activation_bytes + weight_bytes", "weight_bytes + activation_bytes"
    )


@pytest.mark.parametrize("export", [export_python, export_c, export_javascript])
def test_lines_are_short_and_the_same_every_time(export):
    made = export(model_formulas(), ABOUT)
    assert made == export(dict(model_formulas()), ABOUT)
    text = made if isinstance(made, str) else "\n".join(made)
    assert max(map(len, text.splitlines())) <= 100


def test_exports_without_sizes(tmp_path):
    """Weights are what they are; a stage of nothing else takes no sizes."""
    formulas = {"vision.weight_bytes": sp.Integer(5), "decode.kv_bytes": w_kv * 0 + 2 * B}
    assert run_c(export_c(formulas, ABOUT), tmp_path, formulas, [("vision", {})]) == [(0, [5])]
    for run, export in ((run_python, export_python), (run_node, export_javascript)):
        assert run(export(formulas, ABOUT), tmp_path, [("vision", {})]) == [{"weight_bytes": "5"}]
