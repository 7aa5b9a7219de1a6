"""For which crop grids conditions hold: there are few, so all of them are tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp

from symcost.display import Displayed, Sheet, Table
from symcost.errors import DomainError
from symcost.exact import Bindings, Evaluator, Number
from symcost.insight.solving import Boundary, Condition, Unknown, solve
from symcost.models.deepseek_ocr.geometry import MAX_TILES, MIN_TILES
from symcost.rounded import human
from symcost.symbols import C, Expr, n_h, n_w

GRIDS = (
    (0, 0),
    *sorted(
        (
            (columns, rows)
            for columns in range(1, MAX_TILES + 1)
            for rows in range(1, MAX_TILES + 1)
            if MIN_TILES <= columns * rows <= MAX_TILES
        ),
        key=lambda grid: (grid[0] * grid[1], grid),
    ),
)
"""Columns and rows of every grid that the model cuts a page into; none is 0 × 0."""


@dataclass(frozen=True)
class Grid:
    """What conditions say of crop grids that they cannot tell apart.

    Parameters
    ----------
    shapes : tuple of (int, int)
        Columns and rows.
    sides : tuple of (int or Fraction, int or Fraction)
        Both sides of each condition.
    holds : bool
        Whether all conditions hold.
    """

    shapes: tuple[tuple[int, int], ...]
    sides: tuple[tuple[Number, Number], ...]
    holds: bool

    @property
    def crops(self) -> int:
        """The crop count."""
        columns, rows = self.shapes[0]
        return columns * rows


@dataclass(frozen=True)
class GridSolution(Displayed):
    """All crop grids, and at which of them conditions hold.

    Parameters
    ----------
    grids : tuple of Grid
        By crop count.
    boundaries : tuple of Boundary
        Where conditions change with the crop count, if nothing else of the grid matters.
    conditions : tuple of Condition
        What is to hold.
    bindings : mapping of sympy.Symbol to int or Fraction
        The numbers of all other symbols.
    """

    grids: tuple[Grid, ...]
    boundaries: tuple[Boundary, ...]
    conditions: tuple[Condition, ...]
    bindings: Bindings

    def sheet(self) -> Sheet:
        """What notebooks show: the grids and both sides of all conditions at each."""
        counts = dict.fromkeys(grid.crops for grid in self.grids)
        whole = [n for n in counts if all(g.holds for g in self.grids if g.crops == n)]
        rows = [
            (
                str(grid.crops),
                ", ".join(f"{columns}x{rows}" for columns, rows in grid.shapes)
                if grid.crops
                else "–",
                *(
                    f"{human(left)} {condition.operator} {human(right)}"
                    for condition, (left, right) in zip(self.conditions, grid.sides, strict=True)
                ),
                "yes" if grid.holds else "no",
            )
            for grid in self.grids
        ]
        columns = ("crops", "grid", *(condition.text for condition in self.conditions), "holds")
        tried = sum(len(grid.shapes) for grid in self.grids)
        return Sheet(
            f"crops: {', '.join(map(str, whole)) or 'only some grids'}",
            [Table(columns, rows)],
            [
                *(boundary.told("crops", self.bindings) for boundary in self.boundaries),
                f"{tried} crop grids were tried, which are all that are possible",
            ],
        )


def solve_grids(
    conditions: Sequence[Condition],
    bindings: Bindings,
    shapes: Sequence[tuple[int, int]] = GRIDS,
) -> GridSolution:
    """All crop grids at which all conditions hold.

    Parameters
    ----------
    conditions : sequence of Condition
        In the columns and rows of the grid, and in what is bound.
    shapes : sequence of (int, int)
        The grids that are asked about.

    Raises
    ------
    DomainError
        No grid meets them, or all do.
    """
    told = " and ".join(condition.text for condition in conditions)
    if not any({n_w, n_h} & (c.left - c.right).free_symbols for c in conditions):
        raise DomainError(f"{told} does not depend on the crops; ask for another size")
    asked = f"crop grid of up to {max(columns * rows for columns, rows in shapes)} tiles"
    if len(shapes) < len(GRIDS):
        asked += " that the context has room for"
    found: dict[tuple[int, tuple[tuple[Number, Number], ...]], Grid] = {}
    for columns, rows in shapes:
        at = Evaluator({**bindings, n_w: columns, n_h: rows})
        sides = tuple((at(c.left), at(c.right)) for c in conditions)
        known = found.get((columns * rows, sides))
        alike = (*known.shapes, (columns, rows)) if known else ((columns, rows),)
        holds = all(condition.holds(at) for condition in conditions)
        found[columns * rows, sides] = Grid(alike, sides, holds)
    grids = tuple(found.values())
    if not any(grid.holds for grid in grids):
        raise DomainError(f"no {asked} meets {told} (all were tried)")
    if all(grid.holds for grid in grids):
        raise DomainError(f"every {asked} meets {told} (all were tried); there is no limit")
    most = max(grid.crops for grid in grids)
    return GridSolution(grids, _by_count(conditions, bindings, most), tuple(conditions), bindings)


def _by_count(
    conditions: Sequence[Condition], bindings: Bindings, most: int
) -> tuple[Boundary, ...]:
    """The boundaries in the crop count alone; none where rows and columns matter, or none is."""
    counted = [
        Condition(c.text, _counted(c.left), c.operator, _counted(c.right)) for c in conditions
    ]
    if any({n_w, n_h} & (c.left.free_symbols | c.right.free_symbols) for c in counted):
        return ()
    try:
        return solve(counted, Unknown("crops", C, MIN_TILES, most), bindings).boundaries
    except DomainError:
        return ()


def _counted(formula: Expr) -> Expr:
    """A formula in which the product of columns and rows is the crop count."""
    return sp.expand(formula.xreplace({n_h: C / n_w}))
