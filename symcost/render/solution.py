"""Answers of `symcost solve`: as an object, as tables, with the formula behind each."""

from __future__ import annotations

from typing import Any

from symcost.display import cell_text
from symcost.figures import exact
from symcost.formulas import latex, text
from symcost.insight.closed_forms import ClosedForm
from symcost.insight.grids import GridSolution
from symcost.insight.solving import Boundary, Solution
from symcost.render.sections import Section


def solution_object(solution: Solution | GridSolution) -> dict[str, Any]:
    """A solution as JSON shows it."""
    if isinstance(solution, GridSolution):
        return _grids_object(solution)
    return {
        "for": solution.unknown.name,
        "symbol": solution.unknown.symbol.name,
        "ranges": [list(ends) for ends in solution.ranges],
        "boundaries": [_boundary(boundary) for boundary in solution.boundaries],
        "alone": {
            condition: [list(ends) for ends in ranges]
            for condition, ranges in solution.alone.items()
        },
        "proof": {"ranges": solution.proved, "values": solution.computed},
    }


def _grids_object(solution: GridSolution) -> dict[str, Any]:
    return {
        "for": "crops",
        "grids": [
            {
                "crops": grid.crops,
                "crop_grids": [list(shape) if grid.crops else [1, 1] for shape in grid.shapes],
                "holds": grid.holds,
                "conditions": [
                    {"condition": condition.text, "left": exact(left), "right": exact(right)}
                    for condition, (left, right) in zip(
                        solution.conditions, grid.sides, strict=True
                    )
                ],
            }
            for grid in solution.grids
        ],
        "boundaries": [_boundary(boundary) for boundary in solution.boundaries],
    }


def _boundary(boundary: Boundary) -> dict[str, Any]:
    closed = boundary.closed
    return {
        "condition": boundary.condition.text,
        "holds": boundary.holds,
        "fails": boundary.fails,
        "left": [exact(value) for value in boundary.left],
        "right": [exact(value) for value in boundary.right],
        "closed_form": None if isinstance(closed, str) else _closed(closed),
        "no_closed_form": closed if isinstance(closed, str) else None,
    }


def _closed(closed: ClosedForm) -> dict[str, Any]:
    return {
        "coefficients": [text(formula) for formula in closed.coefficients],
        "latex": [latex(formula) for formula in closed.coefficients],
        "numbers": [exact(number) for number in closed.numbers],
        "where": [f"{text(low)} <= {text(high)}" for low, high in closed.domain],
        "rounded_down": closed.whole,
    }


def solution_section(solution: Solution | GridSolution) -> Section:
    """The answer, and what the conditions are at its ends, or of crops everywhere."""
    sheet = solution.sheet()
    (table,) = sheet.tables
    rows = [tuple(map(cell_text, row)) for row in table.rows]
    return Section(sheet.title, table.columns, rows, 2 if isinstance(solution, GridSolution) else 1)
