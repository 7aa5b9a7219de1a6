"""Answers of `symcost solve`: as an object, as tables, with the formula behind each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import sympy as sp

from symcost.exact import Bindings, Number, as_rational, decimal_text, simplest
from symcost.figures import exact
from symcost.formulas import latex, text
from symcost.insight.grids import GridSolution
from symcost.insight.solving import Boundary, ClosedForm, Solution
from symcost.render.sections import Section
from symcost.rounded import human
from symcost.symbols import Expr


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


def solution_sections(solution: Solution | GridSolution) -> Iterator[Section]:
    """The answer, and what the conditions are at its ends, or of crops everywhere."""
    if isinstance(solution, GridSolution):
        yield _grids_section(solution)
        return
    name = solution.unknown.name
    told = ", ".join(_range(ends) for ends in solution.ranges)
    yield _ends(f"{name}: {told}", name, solution.boundaries)


def _grids_section(solution: GridSolution) -> Section:
    conditions = solution.conditions
    counts = dict.fromkeys(grid.crops for grid in solution.grids)
    whole = [count for count in counts if all(g.holds for g in solution.grids if g.crops == count)]
    rows = [
        (
            str(grid.crops),
            ", ".join(f"{columns}x{rows}" for columns, rows in grid.shapes) if grid.crops else "–",
            *(
                f"{human(left)} {c.operator} {human(right)}"
                for c, (left, right) in zip(solution.conditions, grid.sides, strict=True)
            ),
            "yes" if grid.holds else "no",
        )
        for grid in solution.grids
    ]
    title = f"crops: {', '.join(map(str, whole)) or 'only some grids'}"
    return Section(title, ("crops", "grid", *(c.text for c in conditions), "holds"), rows, 2)


def solution_summary(solution: Solution | GridSolution) -> Iterator[str]:
    """The formulas of the answer's ends, and how it was proved."""
    if isinstance(solution, GridSolution):
        yield from _formulas("crops", solution.boundaries, solution.bindings)
        tried = sum(len(grid.shapes) for grid in solution.grids)
        yield f"{tried} crop grids were tried, which are all that are possible"
        return
    yield from _formulas(solution.unknown.name, solution.boundaries, solution.bindings)
    if len(solution.alone) > 1:
        for condition, alone in solution.alone.items():
            told = ", ".join(map(_range, alone))
            yield f"{condition} alone: {told}"
    last = solution.unknown.last
    if last is not None and solution.ranges[-1][1] == last:
        yield f"the context has no room for a larger {solution.unknown.name} than {last:,}"
    ranges = f"{solution.proved} ranges" if solution.proved != 1 else "1 range"
    values = f"{solution.computed} values" if solution.computed != 1 else "1 value"
    yield (
        f"no other {solution.unknown.name} meets it: the sign of the difference is proved on "
        f"{ranges} and computed at {values}, which together are all"
    )


def _range(ends: tuple[int, int | None]) -> str:
    first, last = ends
    if last is None:
        return f"{first:,} and more"
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"


def _ends(title: str, name: str, boundaries: Sequence[Boundary]) -> Section:
    rows = [
        (
            boundary.condition.text,
            f"{value:,}",
            _digits(boundary.left[at]),
            boundary.condition.operator,
            _digits(boundary.right[at]),
            told,
        )
        for boundary in boundaries
        for at, (value, told) in enumerate(((boundary.holds, "yes"), (boundary.fails, "no")))
    ]
    return Section(title, ("condition", name, "left", "", "right", "holds"), rows, 1)


def _digits(number: Number) -> str:
    """A whole number with all its digits, a fraction with some."""
    return decimal_text(number, 9) if isinstance(number, Fraction) else f"{number:,}"


def _formulas(name: str, boundaries: Sequence[Boundary], bindings: Bindings) -> Iterator[str]:
    for boundary in boundaries:
        closed = boundary.closed
        if isinstance(closed, str):
            yield f"{boundary.condition.text} has no closed form in {name}: {closed}"
            continue
        sign = "<=" if boundary.holds < boundary.fails else ">="
        where = [f"{text(low)} <= {text(high)}" for low, high in closed.domain]
        domain = f", where {' and '.join(where)}" if where else ""
        yield f"{boundary.condition.text}: {name} {sign} {_root(closed, bindings)}{domain}"


def _root(closed: ClosedForm, bindings: Bindings) -> str:
    """The root as a formula of the other sizes, and as a number."""
    root, coefficients = root_of(closed), whole_coefficients(closed)
    sizes = with_sizes(closed, bindings, " = ", text)
    if len(coefficients) == 2:
        constant, slope = coefficients
        return f"({text(-constant)}) / ({text(slope)}) = {root}{sizes}"
    c, b, a = map(text, coefficients)
    sign = "+" if closed.upper else "-"
    return f"(-b {sign} sqrt(b^2 - 4 a c)) / (2 a) = {root} with a = {a}, b = {b}, c = {c}{sizes}"


def root_of(closed: ClosedForm, digits: int = 9) -> str:
    """The root of a closed form, rounded."""
    c, b, *square = map(as_rational, closed.numbers)
    if not square:
        return decimal_text(simplest(-c / b), digits)
    (a,) = square
    root = sp.sqrt(b * b - 4 * a * c)
    return str(sp.N((-b + root if closed.upper else -b - root) / (2 * a), digits))


def whole_coefficients(closed: ClosedForm) -> list[Expr]:
    """The coefficients of a closed form in whole numbers, without the sizes that all of them share.

    Only what all numbers of a polynomial are multiplied by has changed, so its roots are the same.
    """
    terms = [t for formula in closed.coefficients for t in sp.Add.make_args(sp.expand(formula))]
    scale = math.lcm(*(int(term.as_coeff_Mul()[0].q) for term in terms))
    shared = sp.gcd_list([term.as_coeff_Mul()[1] for term in terms if term != 0])
    return [sp.expand(scale * formula / shared) for formula in closed.coefficients]


def with_sizes(
    closed: ClosedForm, bindings: Bindings, equals: str, show: Callable[[Expr], str]
) -> str:
    """What the sizes of a closed form are, behind a comma; nothing where it has none."""
    free = sp.Add(*closed.coefficients).free_symbols
    sizes = [f"{show(s)}{equals}{bindings[s]}" for s in bindings if s in free]
    return f", {', '.join(sizes)}" if sizes else ""
