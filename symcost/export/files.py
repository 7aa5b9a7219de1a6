"""Exports: a model's figures as files, ready to be used elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType

from symcost.cost import METRICS, Cost
from symcost.exact import Bindings
from symcost.export.c_code import export_c
from symcost.export.csv_table import export_csv
from symcost.export.figures_json import export_json
from symcost.export.javascript_code import export_javascript
from symcost.export.latex import export_latex
from symcost.export.python_code import export_python
from symcost.export.spreadsheet import export_xlsx
from symcost.export.targets import About
from symcost.symbols import Expr


class Language(StrEnum):
    """What figures are exported as."""

    PYTHON = "python"
    C = "c"
    JAVASCRIPT = "javascript"
    LATEX = "latex"
    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"


def figure_names(costs: Mapping[str, Cost]) -> list[str]:
    """The figures of stages and of their direct parts, but for those of a backward pass."""
    metrics = [metric for metric in METRICS if metric != "gradient_bytes"]
    places = [
        place
        for stage, cost in costs.items()
        for place in (stage, *(f"{stage}.{part}" for part in cost.parts))
    ]
    return [f"{place}.{metric}" for place in places for metric in metrics]


def exported(
    language: Language, figures: Mapping[str, Expr], about: About, sizes: Bindings
) -> dict[str, str | bytes]:
    """The files of a language by name.

    Parameters
    ----------
    figures : mapping of str to sympy.Expr
        Formulas by STAGE[.PART].METRIC.
    sizes : mapping of sympy.Symbol to int or Fraction
        What a workbook begins with.

    Raises
    ------
    InputError, DomainError
        A figure cannot be represented exactly, or a name cannot stand in code.
    """
    if language is Language.XLSX:
        return {f"{about.identifier}.xlsx": export_xlsx(figures, about, sizes)}
    return dict(_FILES[language](figures, about))


def _latex(figures: Mapping[str, Expr], about: About) -> dict[str, str]:
    return {f"{about.identifier}.tex": export_latex(figures, about)}


def _json(figures: Mapping[str, Expr], about: About) -> dict[str, str]:
    text, schema = export_json(figures, about)
    return {f"{about.identifier}.json": text, f"{about.identifier}.schema.json": schema}


def _csv(figures: Mapping[str, Expr], about: About) -> dict[str, str]:
    return {f"{about.identifier}.csv": export_csv(figures, about)}


def _python(figures: Mapping[str, Expr], about: About) -> dict[str, str]:
    return {f"{about.identifier}.py": export_python(figures, about)}


def _c(figures: Mapping[str, Expr], about: About) -> dict[str, str]:
    header, source = export_c(figures, about)
    return {f"{about.identifier}.h": header, f"{about.identifier}.c": source}


def _javascript(figures: Mapping[str, Expr], about: About) -> dict[str, str]:
    return {f"{about.identifier}.mjs": export_javascript(figures, about)}


_FILES: Mapping[Language, Callable[[Mapping[str, Expr], About], dict[str, str]]] = MappingProxyType(
    {
        Language.PYTHON: _python,
        Language.C: _c,
        Language.JAVASCRIPT: _javascript,
        Language.LATEX: _latex,
        Language.JSON: _json,
        Language.CSV: _csv,
    }
)
