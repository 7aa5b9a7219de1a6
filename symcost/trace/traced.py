"""What traces of the real model show. Nothing here needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy as sp

from symcost.paths import enclosing
from symcost.symbols import Expr
from symcost.trace.domain import Region

STEP = 64
"""Image sides are multiples of it; the side in features is their number."""

SIDES = tuple(range(1, 33))
"""The sides at which the vision tower is traced, in features: 64 to 2048 px."""


@dataclass(frozen=True)
class Trace:
    """One run of the real model with symbols for some of its sizes.

    Parameters
    ----------
    sizes : mapping of sympy.Symbol to sympy.Expr
        What each size was: itself where it was symbolic, otherwise a number.
    region : Region
        The sizes for which the trace speaks: their ranges and the guards.
    guards : tuple of sympy.Basic
        What torch assumed of the sizes beyond their ranges while it ran.
    counted : mapping of str to sympy.Expr
        FLOPs by module path as formulas in the symbols of symcost; a module that did not run has
        none.
    undeclared : tuple of str
        Operators that the counter passed over without leave, in words.
    within : tuple of str
        The modules of which the trace speaks, each with all that it holds.
    """

    sizes: Mapping[sp.Symbol, Expr]
    region: Region
    guards: tuple[sp.Basic, ...]
    counted: Mapping[str, Expr]
    undeclared: tuple[str, ...] = ()
    within: tuple[str, ...] = ("",)

    def speaks_of(self, path: str) -> bool:
        """Whether a module is one of those of which the trace speaks."""
        return any(module in self.within for module in enclosing(path))

    def of(self, path: str) -> Expr:
        """The FLOPs of a module, zero where it did not run."""
        return self.counted.get(path, sp.Integer(0))


@dataclass(frozen=True)
class Traces:
    """All traces of the real model.

    Parameters
    ----------
    modules : tuple of str
        Every module path of the real model; the whole is the path "".
    windows : mapping of str to int
        The side in patches of the windows of each layer that attends within windows.
    decoder, tower, features, pages : tuple of Trace
        The decoder with its head; the vision tower at one image side each; what reads SAM's
        features, at a symbolic side; the whole model with a page.
    errors : tuple of str
        Traces that did not come to an end, and why.
    versions : mapping of str to str
        What was traced with what.
    """

    modules: tuple[str, ...]
    windows: Mapping[str, int] = field(default_factory=dict)
    decoder: tuple[Trace, ...] = ()
    tower: tuple[Trace, ...] = ()
    features: tuple[Trace, ...] = ()
    pages: tuple[Trace, ...] = ()
    errors: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
