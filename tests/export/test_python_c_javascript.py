"""Exported Python, C and JavaScript: run by themselves, they answer what formulas are exactly."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
import sympy as sp

from symcost import Widths, load
from symcost.errors import DomainError, InputError
from symcost.exact import Evaluator, as_rational
from symcost.export.c_code import export_c
from symcost.export.javascript_code import export_javascript
from symcost.export.python_code import export_python
from symcost.export.targets import About
from symcost.models.deepseek_ocr.routing import Routing
from symcost.models.deepseek_ocr.workload import symbolic_costs
from symcost.symbols import CATALOGUE, B, C, I_g, K, S, n_h, n_w, q, w_kv
from tests.export.code_support import (
    ABOUT,
    MOST,
    PAGE,
    chance_formulas,
    compile_c,
    exact_values,
    expected,
    fields,
    model_formulas,
    once_changed,
    points,
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


@pytest.fixture(scope="module")
def model_code():
    """The model's figures in the three languages."""
    exports = {"python": export_python, "c": export_c, "javascript": export_javascript}
    return {language: export(model_formulas(), ABOUT) for language, export in exports.items()}


@pytest.fixture(scope="module")
def model_c(model_code, tmp_path_factory):
    """The model's figures in C, compiled."""
    return compile_c(model_code["c"], tmp_path_factory.mktemp("c"), model_formulas())


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


def judged(which, found):
    """How many answers of C are exact and how many are refused; none is anything else."""
    exact = list(rows(which))
    assert len(exact) == len(found) > 10_000
    for (status, figures), of in zip(found, exact, strict=True):
        assert status == 1 or (status, figures) == (0, list(of))
    refused = [of for (status, _), of in zip(found, exact, strict=True) if status]
    return len(found) - len(refused), refused


def test_c(model_c):
    """Exact or refused, and refused only where a figure comes near the limit."""
    exact, refused = judged(model_formulas, model_c(asked_of(model_formulas(), points())))
    assert exact > 6000
    assert len(refused) > 1000
    assert min(map(max, refused)) > MOST // 2


def test_c_of_formulas_by_chance(tmp_path):
    formulas = chance_formulas()
    program = compile_c(export_c(formulas, ABOUT), tmp_path, formulas)
    exact, refused = judged(chance_formulas, program(asked_of(formulas, points())))
    assert min(exact, len(refused)) > 2000


def test_a_wrong_number_is_noticed(model_code, tmp_path):
    """Bytes of the cache for each token, off by one in one place of each language."""
    formulas = {"decode.kv_bytes": model_formulas()["decode.kv_bytes"]}
    at = asked_of(formulas, [PAGE])
    (right,) = exact_values(formulas, [PAGE])["decode.kv_bytes"]
    for change, expectation in ((lambda text, _="": text, 0), (once_changed, 1)):
        python = change(export_python(formulas, ABOUT), "61440")
        script = change(export_javascript(formulas, ABOUT), "61440n")
        header, source = export_c(formulas, ABOUT)
        found = [
            int(run_python(python, tmp_path, at)[0]["kv_bytes"]),
            int(run_node(script, tmp_path, at)[0]["kv_bytes"]),
            compile_c((header, change(source, "61440")), tmp_path, formulas)(at)[0][1][0],
        ]
        assert [value != right for value in found] == [bool(expectation)] * 3


BAD = {"B": [0, -1], "S": [0], "I_g": [0, 100, -64], "I_t": [65], "n_w": [-1], "n_h": [-(2**63)]}


def test_sizes_outside_their_domains(model_code, model_c, tmp_path):
    """Each language names the size."""
    formulas = model_formulas()
    page = {name: PAGE[name] for name in taken(formulas, "prefill")}
    cases = [(name, value) for name, values in BAD.items() for value in values]
    asked = [("prefill", page | {name: value}) for name, value in cases]
    for found in (
        run_python(model_code["python"], tmp_path, asked),
        run_node(model_code["javascript"], tmp_path, asked),
    ):
        for (name, value), said in zip(cases, found, strict=True):
            assert said.startswith(f"{name} ({CATALOGUE[name].meaning}) is {value}; allowed: ")
    header, _ = model_code["c"]
    codes = {name: int(n) for name, n in re.findall(r"DEEPSEEK_OCR_BAD_(\w+) = (\d+)", header)}
    assert model_c(asked) == [(codes[name], []) for name, _ in cases]


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_sizes_that_are_no_integers(value, model_code, tmp_path):
    asked = [("decode", {"B": value, "K": 1, "T": 1})]
    (said,) = run_python(model_code["python"], tmp_path, asked)
    assert said == f"B ({CATALOGUE['B'].meaning}) is {value!r}; allowed: an integer"


def test_the_limits_of_c_hold(model_code, model_c):
    """Where the header says that nothing overflows, nothing does, and they are no small sizes."""
    formulas = model_formulas()
    header, _ = model_code["c"]
    said = re.findall(r"Nothing overflows where ([^;]*);", header.replace("\n * ", " "))
    limits = [dict(part.split(" <= ") for part in one.split(", ")) for one in said]
    corners = [{name: int(most) for name, most in one.items()} for one in limits]
    assert [list(corner) for corner in corners] == [taken(formulas, s) for s in fields(formulas)]
    assert all(corner["B"] >= 64 and corner.get("S", 2**18) >= 2**18 for corner in corners)
    found = model_c(list(zip(fields(formulas), corners, strict=True)))
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
    module: dict = {}
    exec(export_python(formulas, ABOUT), module)  # noqa: S102 - what was exported
    evaluator = Evaluator({CATALOGUE[n].symbol: v for n, v in point.items()})
    found = module["decode"](**point)._asdict()
    assert found == {name[7:]: evaluator(formula) for name, formula in formulas.items()}
    assert type(found["flops"]) is int
    assert type(found["kv_bytes"]) is Fraction
    at = [("decode", point | {"w_w": 1, "w_kv": 2, "U": 61})]
    (right,) = zip(*exact_values(formulas, [at[0][1]]).values(), strict=True)
    for run, export in ((run_python, export_python), (run_node, export_javascript)):
        assert [*run(export(formulas, ABOUT), tmp_path, at)[0].values()] == list(map(str, right))
    program = compile_c(export_c(formulas, ABOUT), tmp_path, formulas)
    assert program(at) == [(0, list(right))]


@pytest.mark.parametrize(
    ("export", "language"), [(export_c, "c"), (export_javascript, "javascript")]
)
def test_figures_that_are_not_whole(export, language):
    for half in (B / 2, w_kv / 3):
        with pytest.raises(DomainError, match=rf"decode.flops .* {language} .* export python"):
            export({"decode.flops": half}, ABOUT)


def test_fractions_of_whole_sizes(tmp_path):
    formulas = {"decode.bytes_read": (B + sp.Max(K, S) / 3) / 2, "decode.flops": B * (B + 1) / 2}
    asked = [("decode", {"B": b, "K": k, "S": 2}) for b in (1, 2) for k in (0, 3, 4)]
    found = run_python(export_python(formulas, ABOUT), tmp_path, asked)
    exact = exact_values(formulas, [point for _, point in asked])
    assert [[Fraction(v) for v in row.values()] for row in found] == [
        list(row) for row in zip(*exact.values(), strict=True)
    ]


def test_fractions_that_add_up_to_whole_numbers(tmp_path):
    """They are no part of what languages without fractions hold, nor does the sum become one."""
    flops, third = B * (B + 1) / 2, sp.Rational(1, 3)
    formulas = {"decode.flops": flops, "decode.matrix_flops": flops * third}
    formulas["decode.vector_flops"] = 2 * flops * third
    code = export_python(formulas, ABOUT)
    assert "    flops: int\n" in code
    (found,) = run_python(code, tmp_path, [("decode", {"B": 4})])
    assert found == {"flops": "10", "matrix_flops": "10/3", "vector_flops": "20/3"}


def test_names_that_are_taken(tmp_path):
    """Sizes that are called what code calls others keep their names."""
    formulas = {"layer.flops": C * q * I_g + n_w * n_h * I_g * B + sp.Min(3, C) + C * B}
    at = [("layer", {"B": 2, "C": 5, "q": 7, "I_g": 128, "n_w": 11, "n_h": 13})]
    (right,) = exact_values(formulas, [at[0][1]])["layer.flops"]
    assert run_python(export_python(formulas, ABOUT), tmp_path, at) == [{"flops": str(right)}]
    assert run_node(export_javascript(formulas, ABOUT), tmp_path, at) == [{"flops": str(right)}]
    assert compile_c(export_c(formulas, ABOUT), tmp_path, formulas)(at) == [(0, [right])]


REFUSED = {
    "no figures": ({}, "no figures"),
    "no stage": ({"flops": B}, "STAGE"),
    "no metric": ({"decode.speed": B}, "STAGE"),
    "a stage that is no name": ({"de-code.flops": B}, "cannot be the name"),
    "a stage that is a word of Python": ({"class.flops": B}, "cannot be the name"),
    "a part in the metric": ({"d.a.flops": B, "d.a_flops": K}, "STAGE"),
    "one name for two": ({"d.a.b.flops": B, "d.a_b.flops": K}, "two figures"),
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


def test_sums_are_shown_as_sums(model_code):
    """A reader sees what a figure is made of."""
    code = model_code["python"]
    assert "    flops = matrix_flops + vector_flops\n" in code
    assert "    bytes_read = vision_bytes_read + decoder_bytes_read + lm_head_bytes_read\n" in code
    assert "    resident_bytes = activation_bytes + weight_bytes + kv_bytes\n" in code


@pytest.mark.parametrize("export", [export_python, export_c, export_javascript])
def test_lines_are_short_and_the_same_every_time(export, model_code):
    made = export(model_formulas(), ABOUT)
    assert made in model_code.values()
    text = made if isinstance(made, str) else "\n".join(made)
    assert max(map(len, text.splitlines())) <= 100


def test_exports_without_sizes(tmp_path):
    """Weights are what they are; a stage of nothing else takes no sizes."""
    formulas = {"vision.weight_bytes": sp.Integer(5), "decode.kv_bytes": w_kv * 0 + 2 * B}
    program = compile_c(export_c(formulas, ABOUT), tmp_path, formulas)
    assert program([("vision", {})]) == [(0, [5])]
    for run, export in ((run_python, export_python), (run_node, export_javascript)):
        assert run(export(formulas, ABOUT), tmp_path, [("vision", {})]) == [{"weight_bytes": "5"}]
