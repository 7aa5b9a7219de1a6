"""The names of exported figures, and the symbols that they take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from symcost.cost import METRICS
from symcost.errors import InputError
from symcost.figures import unit_of
from symcost.symbols import CATALOGUE, Expr, SymbolInfo, info_of


@dataclass(frozen=True)
class Name:
    """`STAGE[.PART…].METRIC`; the part is empty where a figure is of a whole stage."""

    stage: str
    part: str
    metric: str

    @classmethod
    def of(cls, name: str) -> Name:
        """Take a name apart.

        Raises
        ------
        InputError
            It has no stage, or ends in what is no metric.
        """
        path, _, metric = name.rpartition(".")
        if not path or metric not in METRICS:
            raise InputError(
                f"figure {name!r} is not named STAGE[.PART…].METRIC; metrics: {', '.join(METRICS)}"
            )
        stage, _, part = path.partition(".")
        return cls(stage, part, metric)

    @property
    def unit(self) -> str:
        """What the figure is measured in."""
        return unit_of(self.metric).value


def symbols_of(formulas: Iterable[Expr]) -> list[SymbolInfo]:
    """The symbols of formulas, in the order of the catalogue."""
    found = {info_of(symbol).name for formula in formulas for symbol in formula.free_symbols}
    return [info for name, info in CATALOGUE.items() if name in found]


def shown_symbols(formulas: Iterable[Expr]) -> list[SymbolInfo]:
    """The symbols of formulas as people read them, where C is short for n_w n_h."""
    infos = symbols_of(formulas)
    crops = {"n_w", "n_h"} <= {info.name for info in infos}
    return [*infos, CATALOGUE["C"]] if crops else infos
