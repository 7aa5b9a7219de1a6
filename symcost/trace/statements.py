"""What is to be proved: the matrix FLOPs that the formulas state for every module, by stage.

Nothing here needs torch, so that stored certificates can be held against the present formulas
wherever symcost runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import TypeAlias

import sympy as sp

from symcost.stages import Stage
from symcost.symbols import Expr, n_h, n_w
from symcost.verify.stated import Stated, formulas_by_module, matrix_flops, stated_by_page


class Claim(StrEnum):
    """The stages for which something is stated; a prefill with and without a page."""

    VISION = "vision"
    PREFILL = "prefill"
    TEXT = "prefill of text alone"
    DECODE = "decode"


ByModule: TypeAlias = Mapping[str, Expr]
"""Formulas by path; the whole is the path "". A path may also be that of an operator."""

Formulas: TypeAlias = Mapping[Claim, ByModule]

_GRAPHS = {
    Claim.VISION: (True, Stage.VISION),
    Claim.PREFILL: (True, Stage.PREFILL),
    Claim.TEXT: (False, Stage.PREFILL),
    Claim.DECODE: (False, Stage.DECODE),
}
"""Whether there is a page, and the stage of the model."""


def formulas_of(by_page: Mapping[bool, Mapping[Stage, Stated]]) -> Formulas:
    """The matrix FLOPs of every module, from what is stated with a page and for text alone."""
    return {
        claim: formulas_by_module(matrix_flops(by_page[has_page][stage].forward))
        for claim, (has_page, stage) in _GRAPHS.items()
    }


def stated_formulas(model: str = "deepseek-ocr") -> Formulas:
    """The matrix FLOPs of every module in every stage, as the formulas of the model state them."""
    return formulas_of(stated_by_page(model))


def of_tower(vision: ByModule) -> ByModule:
    """What one call of the vision tower on B views of side I_g costs: a page without tiles."""
    return {path: formula.xreplace(_NO_TILES) for path, formula in vision.items()}


_NO_TILES = {n_w: sp.Integer(0), n_h: sp.Integer(0)}


@cache
def expanded(formula: Expr) -> Expr:
    """A formula as a sum of products: two polynomials are equal if and only if they then are."""
    return sp.expand(formula)


@cache
def statement(formula: Expr) -> str:
    """A formula as a certificate states it, the same text in every run."""
    return f"matrix_flops = {expanded(formula)}"


def current_statements(formulas: Formulas | None = None) -> dict[tuple[str, str], str]:
    """What is stated now, by stage and path, to compare stored certificates with."""
    return {
        (claim.value, path): statement(formula)
        for claim, of_modules in (stated_formulas() if formulas is None else formulas).items()
        for path, formula in of_modules.items()
    }
