"""Exports: a model's figures as files, ready to be used elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Self

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
from symcost.figures import formula_of
from symcost.models import load
from symcost.models.deepseek_ocr.config import DeepseekOCRConfig
from symcost.models.deepseek_ocr.executions import Executions
from symcost.models.deepseek_ocr.geometry import SYMBOLIC
from symcost.models.deepseek_ocr.routing import Routing
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import Workload, symbolic_costs
from symcost.symbols import Expr, T


class Language(StrEnum):
    """What figures are exported as."""

    PYTHON = "python"
    C = "c"
    JAVASCRIPT = "javascript"
    LATEX = "latex"
    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"


STAGES: Mapping[str, str] = MappingProxyType(
    {
        "vision": "the vision tower and the projector on all pages of a batch",
        "prefill": "vision, the decoder on the whole context, and the head",
        "decode": "T steps behind K cached tokens, together",
        "generation": "a prefill and T steps behind it",
    }
)
"""What each stage is where it is exported."""

FIGURES = tuple(metric for metric in METRICS if metric != "gradient_bytes")
"""The figures of a forward pass."""


@dataclass(frozen=True)
class Export:
    """Figures of a model, ready for any language.

    Parameters
    ----------
    figures : mapping of str to sympy.Expr
        Formulas by STAGE[.PART].METRIC.
    about : About
        What they hold for.
    sizes : mapping of sympy.Symbol to int or Fraction
        What a workbook begins with.
    """

    figures: Mapping[str, Expr]
    about: About
    sizes: Bindings

    @classmethod
    def of(
        cls,
        model: str,
        names: Iterable[str] = (),
        *,
        no_image: bool = False,
        reference: str = "vendor",
        executions: Executions = Executions(),
        lm_head: str = "all",
        widths: Widths = Widths(),
        routing: Routing = Routing(),
        config: DeepseekOCRConfig | None = None,
    ) -> Self:
        """The figures of a model: those that are named, or all of its stages and their parts.

        Raises
        ------
        InputError
            There is no such figure.
        """
        built = load(
            model,
            config=config,
            views=None if no_image else SYMBOLIC,
            reference=reference,
            execution=executions,
            lm_head=lm_head,
            widths=widths,
            routing=routing,
        )
        costs = symbolic_costs(built)
        left_out = {"generation", "vision"} if no_image else {"generation"}
        stages = {name: cost for name, cost in costs.items() if name not in left_out}
        assumptions = {
            "reference": reference,
            "execution": str(executions),
            "head on": "all tokens" if lm_head == "all" else "last token",
            "widths": str(widths),
            "experts": f"{routing}, their bytes rounded to whole weights",
        }
        assumptions |= {"images": "none"} if no_image else {}
        told = dict(STAGES)
        if not no_image:
            told["prefill"] += f"; of the S tokens {SYMBOLIC.image_tokens} are the image's"
        assumptions |= {} if config is None else {"configuration": "of its own"}
        return cls(
            {name: formula_of(costs, name) for name in tuple(names) or _names(stages)},
            About(model, assumptions, told),
            Workload.from_options(no_image=no_image).bindings | {T: 1} | widths.bindings,
        )

    def files(self, language: Language) -> dict[str, str | bytes]:
        """The files of a language by name.

        Raises
        ------
        InputError, DomainError
            A figure cannot be represented exactly, or a name cannot stand in code.
        """
        if language is Language.XLSX:
            name = f"{self.about.identifier}.xlsx"
            return {name: export_xlsx(self.figures, self.about, self.sizes)}
        return dict(_FILES[language](self.figures, self.about))


def _names(costs: Mapping[str, Cost]) -> list[str]:
    """The figures of stages and of their direct parts."""
    places = [
        place
        for stage, cost in costs.items()
        for place in (stage, *(f"{stage}.{part}" for part in cost.parts))
    ]
    return [f"{place}.{metric}" for place in places for metric in FIGURES]


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
