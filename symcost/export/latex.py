"""Figures as a LaTeX document of its own, which breaks long formulas into lines."""

from __future__ import annotations

from collections.abc import Mapping

from symcost.cost import METRICS
from symcost.export.naming import Name, shown_symbols
from symcost.export.targets import About
from symcost.formulas import flowing_latex
from symcost.symbols import Expr

_PREAMBLE = r"""\documentclass{article}
\usepackage[a4paper,margin=2cm]{geometry}
\usepackage{amsmath,longtable}
\providecommand{\gt}{>}
\setlength{\parindent}{0pt}
\allowdisplaybreaks
\relpenalty=10000
\binoppenalty=0
"""

_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{sign: f"\\{sign}" for sign in "#$%&_{}"},
    }
)


def export_latex(figures: Mapping[str, Expr], about: About) -> str:
    """A document of an article's class: the symbols, then the figures by stage and part.

    Parameters
    ----------
    figures : mapping of str to sympy.Expr
        By name, such as "prefill.decoder.bytes_read".
    about : About
        What the document says of itself.
    """
    lines = [rf"\title{{{_plain(about.title)}}}", r"\date{}", r"\begin{document}", r"\maketitle"]
    lines += [r"\begin{flushleft}", _plain(about.assumed), r"\end{flushleft}", *_symbols(figures)]
    stage = part = ""
    for given, formula in figures.items():
        name = Name.of(given)
        if name.stage != stage:
            stage, part = name.stage, ""
            lines += [
                rf"\section{{{_plain(stage.capitalize())}}}",
                rf"{_plain(about.stage(stage))}.\medskip",
                "",
            ]
        if name.part != part:
            part = name.part
            lines.append(rf"\subsection{{{_plain(part or stage)}}}")
        lines += [
            rf"\textbf{{\texttt{{{_plain(name.metric)}}}}}: {_plain(METRICS[name.metric])}",
            r"\begin{flushleft}",
            f"${flowing_latex(formula)}$",
            r"\end{flushleft}",
        ]
    lines.append(r"\end{document}")
    return _PREAMBLE + "\n".join(lines) + "\n"


def _symbols(figures: Mapping[str, Expr]) -> list[str]:
    """A table of what the symbols mean."""
    infos = shown_symbols(figures.values())
    if not infos:
        return []
    rows = [
        rf"${info.latex}$ & {_plain(info.meaning)} & {_plain(info.unit)} & "
        rf"{_plain(info.domain)} \\"
        for info in infos
    ]
    head = r"Symbol & Meaning & Unit & Domain \\ \hline \endhead"
    columns = r"\begin{longtable}{lp{8cm}lp{4cm}}"
    return [r"\section{Symbols}", columns, head, *rows, r"\end{longtable}"]


def _plain(text: str) -> str:
    """A text that TeX sets as it stands."""
    return text.translate(_SPECIAL)
