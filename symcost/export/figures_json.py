"""Figures as a JSON file of their own, which names its JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symcost.exact import as_rational
from symcost.export.formulas_json import json_text, symbols_object
from symcost.export.json_tree import encode
from symcost.export.naming import Name, symbols_of
from symcost.export.schema import figures_schema
from symcost.export.targets import About
from symcost.symbols import Expr


def export_json(figures: Mapping[str, Expr], about: About) -> tuple[str, str]:
    """A file of figures and its JSON Schema, MODEL.schema.json, which it names.

    Parameters
    ----------
    figures : mapping of str to sympy.Expr
        By STAGE[.PART…].METRIC.
    about : About
        What the file says of itself.

    Raises
    ------
    InputError
        A name is none of these, or there are no figures.
    DomainError
        A formula holds what has no place in the tree.
    """
    document = {
        "$schema": f"{about.identifier}.schema.json",
        "model": about.model,
        "title": about.title,
        "assumptions": dict(about.assumptions),
        "symbols": symbols_object(symbols_of(figures.values())),
        "figures": {name: _figure(name, formula) for name, formula in figures.items()},
    }
    return json_text(document) + "\n", json_text(figures_schema()) + "\n"


def _figure(given: str, formula: Expr) -> dict[str, Any]:
    name = Name.of(given)
    return {
        "stage": name.stage,
        "part": name.part,
        "metric": name.metric,
        "unit": name.unit,
        "formula": encode(as_rational(formula)),
    }
