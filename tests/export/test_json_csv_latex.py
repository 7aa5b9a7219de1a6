"""Exported JSON, CSV and LaTeX: read by others, they mean what formulas are exactly."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import sympy as sp

from symcost.cost import METRICS
from symcost.errors import InputError
from symcost.export.csv_table import export_csv
from symcost.export.figures_json import export_json
from symcost.export.latex import export_latex
from symcost.export.targets import About
from symcost.formulas import flowing_latex, latex
from symcost.symbols import CATALOGUE, B, C, S
from tests.export.code_support import (
    ABOUT,
    SIZES,
    chance_formulas,
    expected,
    model_formulas,
    points,
    tool,
)
from tests.export.columns import Column
from tests.export.readers import MathML, Text, Tree

BOTH = (model_formulas, chance_formulas)
NODE = Path(__file__).parents[1] / "node"


@cache
def sizes():
    """Each size at all points."""
    found = {name: Column.of([point[name] for point in points()]) for name in SIZES}
    return found | {"C": found["n_w"] * found["n_h"]}


def wrong(which, read, texts):
    """The figures that are not exact at all points."""
    assert list(texts) == list(which())
    assert len(texts) * len(points()) > 10_000
    found = {text: read(text).values(len(points())) for text in dict.fromkeys(texts.values())}
    return [name for name, text in texts.items() if found[text] != expected(which)[name]]


def in_json(formulas):
    document = json.loads(export_json(formulas, ABOUT)[0])
    return {name: json.dumps(figure["formula"]) for name, figure in document["figures"].items()}


def in_csv(formulas):
    rows = csv.DictReader(io.StringIO(export_csv(formulas, ABOUT)))
    return {row["name"]: row["formula"] for row in rows}


def in_latex(formulas):
    shown = re.findall(r"\\begin{flushleft}\n\$(.*)\$\n", export_latex(formulas, ABOUT))
    return dict(zip(formulas, shown, strict=True))


KATEX = """
const katex = require("katex");
const options = { output: "mathml", throwOnError: true, strict: "error" };
const texts = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(texts.map((text) => katex.renderToString(text, options))));
"""


def mathml(texts):
    """What KaTeX makes of LaTeX; what it does not understand is refused."""
    node = tool("node")
    if not (NODE / "node_modules" / "katex").is_dir():
        pytest.skip("KaTeX is not installed, so that LaTeX is not read: npm ci --prefix tests/node")
    done = subprocess.run(
        [node, "-e", KATEX],
        cwd=NODE,
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(re.search(r"ParseError: .*", done.stderr)[0])
    return json.loads(done.stdout)


def by_katex(texts):
    return dict(zip(texts, mathml(list(texts.values())), strict=True))


@pytest.mark.parametrize("which", BOTH, ids=["model", "chance"])
def test_json(which):
    tree = Tree(sizes())
    assert not wrong(which, lambda text: tree(json.loads(text)), in_json(which()))


@pytest.mark.parametrize("which", BOTH, ids=["model", "chance"])
def test_csv(which):
    assert not wrong(which, Text(sizes()), in_csv(which()))


@pytest.mark.parametrize("which", BOTH, ids=["model", "chance"])
def test_latex(which):
    assert not wrong(which, MathML(sizes()), by_katex(in_latex(which())))


def test_a_wrong_number_is_noticed():
    """Bytes of the cache for each token, off by one in one place of each text."""
    name = "decode.kv_bytes"
    formulas = {name: model_formulas()[name]}
    right = expected(model_formulas)[name]
    for before, after in (("", ""), ("1", "2")):
        tree, text, latex = (
            read(formulas)[name].replace(f"6{before}", f"6{after}", 1)
            for read in (in_json, in_csv, in_latex)
        )
        found = [
            Tree(sizes())(json.loads(tree)),
            Text(sizes())(text),
            MathML(sizes())(mathml([latex])[0]),
        ]
        assert [one.values(len(points())) == right for one in found] == [before == after] * 3


def test_symbols_in_latex_compile():
    names = [info.latex for info in CATALOGUE.values()]
    assert len(mathml(names)) == len(names)


@pytest.mark.parametrize("broken", [r"B \undefined S", r"\frac{B}{", r"B^S^2", "B_{S", "50%"])
def test_broken_latex_does_not_compile(broken):
    with pytest.raises(ValueError, match="ParseError"):
        mathml(["B", broken])


def test_what_json_says_of_itself():
    text, schema = export_json({"decode.vision.kv_bytes": 2 * B * C + S}, ABOUT)
    document = json.loads(text)
    assert document == {
        "$schema": "deepseek_ocr.schema.json",
        "model": "deepseek-ocr",
        "title": ABOUT.title,
        "assumptions": {"execution": "eager"},
        "symbols": document["symbols"],
        "figures": {
            "decode.vision.kv_bytes": {
                "stage": "decode",
                "part": "vision",
                "metric": "kv_bytes",
                "unit": "bytes",
                "formula": ["+", "S", ["*", 2, "C", "B"]],
            }
        },
    }
    assert list(document["symbols"]) == ["B", "S", "C"]
    assert document["symbols"]["S"]["domain"] == "positive integer"
    jsonschema.Draft202012Validator(json.loads(schema)).validate(document)


def test_a_row_of_csv():
    (row,) = csv.DictReader(
        io.StringIO(export_csv({"prefill.vision.sam.bytes_read": 3 * B}, ABOUT))
    )
    assert row == {
        "name": "prefill.vision.sam.bytes_read",
        "stage": "prefill",
        "part": "vision.sam",
        "metric": "bytes_read",
        "unit": "bytes",
        "formula": "3*B",
        "symbols": "B",
        "assumptions": "execution eager",
    }


def test_symbols_of_csv_are_those_of_the_text():
    for row in csv.DictReader(io.StringIO(export_csv(model_formulas(), ABOUT))):
        words = set(re.findall(r"[A-Za-z_]+", row["formula"])) & set(CATALOGUE)
        assert words <= set(row["symbols"].split())


@pytest.mark.parametrize("name", ["flops", "prefill.speed", ".flops", ""])
def test_csv_of_names_that_are_none(name):
    with pytest.raises(InputError, match="STAGE"):
        export_csv({name: B}, ABOUT)


def test_every_figure_is_in_latex_once():
    formulas = model_formulas()
    document = export_latex(formulas, ABOUT)
    shown = re.findall(r"\\textbf{\\texttt{(.*?)}}: (.*)\n\\begin{flushleft}\n\$(.*)\$\n", document)
    assert [metric.replace("\\", "") for metric, *_ in shown] == [
        name.rpartition(".")[2] for name in formulas
    ]
    assert all(METRICS[metric.replace("\\", "")] == meaning for metric, meaning, _ in shown)
    assert [formula for *_, formula in shown] == [flowing_latex(f) for f in formulas.values()]


def test_brackets_of_latex_are_balanced_and_can_be_broken():
    for formula in model_formulas().values():
        shown = flowing_latex(formula)
        assert shown.count("{") == shown.count("}")
        assert shown.count(r"\bigl(") == shown.count(r"\bigr)")
        kept = re.findall(r"\\left.(.*?)\\right.", shown)
        assert all(len(inside) < 150 for inside in kept), "what cannot be broken is short"


def test_latex_is_what_documents_show():
    for formula in model_formulas().values():
        if not formula.has(sp.Max):
            plain = flowing_latex(formula).replace(r"\bigl(", r"\left(").replace(r"\,", " ")
            assert plain.replace(r"\bigr)", r"\right)") == latex(formula)


def test_what_latex_says_of_itself_is_set_as_it_stands():
    about = About("deepseek-ocr", {"head": "50% of a_b & {}~^#$"}, {"prefill": "a_b"})
    document = export_latex({"prefill.flops": B * S}, about)
    assert r"head 50\% of a\_b \& \{\}\textasciitilde{}\textasciicircum{}\#\$." in document
    assert "\\section{Prefill}\nA\\_b." in document


def compiled(document, folder):
    engine = shutil.which("pdflatex") or shutil.which("tectonic")
    if engine is None:
        pytest.skip("neither pdflatex nor tectonic is installed")
    (folder / "figures.tex").write_text(document, encoding="utf-8")
    quiet = [] if engine.endswith("tectonic") else ["-interaction=nonstopmode", "-halt-on-error"]
    return subprocess.run(
        [engine, *quiet, "figures.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_latex_compiles(tmp_path):
    done = compiled(export_latex(model_formulas(), ABOUT), tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout + done.stderr
    assert (tmp_path / "figures.pdf").stat().st_size > 10_000


def test_a_broken_document_does_not_compile(tmp_path):
    document = export_latex({"prefill.flops": B * S}, ABOUT)
    assert compiled(document.replace("$B S$", r"$B \undefined S$"), tmp_path).returncode != 0
