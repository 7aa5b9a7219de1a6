"""The document of figures: it compiles where there is an engine, and nothing runs off a page."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import sympy as sp

from symcost.cost import METRICS
from symcost.export.latex import export_latex
from symcost.formulas import flowing_latex, latex
from symcost.symbols import B, S
from tests.export.figures import different_figures


def test_every_figure_is_there_once():
    formulas = different_figures()
    document = export_latex(formulas, "DeepSeek-OCR")
    shown = re.findall(r"\\textbf{\\texttt{(.*?)}}: (.*)\n\\begin{flushleft}\n\$(.*)\$\n", document)
    assert [metric.replace("\\", "") for metric, *_ in shown] == [
        name.rpartition(".")[2] for name in formulas
    ]
    assert all(METRICS[metric.replace("\\", "")] == meaning for metric, meaning, _ in shown)
    assert [formula for *_, formula in shown] == [flowing_latex(f) for f in formulas.values()]


def test_brackets_are_balanced_and_can_be_broken():
    for formula in different_figures().values():
        shown = flowing_latex(formula)
        assert shown.count("{") == shown.count("}")
        assert shown.count(r"\bigl(") == shown.count(r"\bigr)")
        kept = re.findall(r"\\left.(.*?)\\right.", shown)
        assert all(len(inside) < 150 for inside in kept), "what cannot be broken is short"


def test_it_is_what_documents_show():
    for formula in different_figures().values():
        if not formula.has(sp.Max):
            plain = flowing_latex(formula).replace(r"\bigl(", r"\left(").replace(r"\,", " ")
            assert plain.replace(r"\bigr)", r"\right)") == latex(formula)


def test_titles_are_set_as_they_stand():
    document = export_latex({"prefill.flops": B * S}, r"50% of a_b & \x{}~^#$")
    title = (
        r"\title{50\% of a\_b \& \textbackslash{}x\{\}\textasciitilde{}"
        r"\textasciicircum{}\#\$}"
    )
    assert title in document


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


def test_it_compiles(tmp_path):
    done = compiled(export_latex(different_figures(), r"DeepSeek-OCR & 50% \x"), tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout + done.stderr
    assert (tmp_path / "figures.pdf").stat().st_size > 10_000


def test_a_broken_document_does_not_compile(tmp_path):
    document = export_latex({"prefill.flops": B * S}, "broken")
    assert compiled(document.replace("$B S$", r"$B \undefined S$"), tmp_path).returncode != 0
