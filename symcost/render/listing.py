"""Lists of formulas, chosen by stage, module path and metric."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from symcost import formulas
from symcost.cost import Cost
from symcost.errors import InputError
from symcost.exact import as_rational
from symcost.export.json_tree import encode
from symcost.symbols import Expr


class FormulaFormat(StrEnum):
    """How formulas are shown."""

    TABLE = "table"
    TEXT = "text"
    LATEX = "latex"
    MARKDOWN = "markdown"
    JSON = "json"


@dataclass(frozen=True)
class Row:
    """One formula: of which stage and part or module, and of which metric."""

    where: str
    metric: str
    formula: Expr

    @property
    def text(self) -> str:
        """The formula as plain text."""
        return formulas.text(self.formula)

    @property
    def latex(self) -> str:
        """The formula as LaTeX."""
        return formulas.latex(self.formula)


def formula_rows(
    stages: Mapping[str, Cost], stage: str | None, path: str | None, metrics: Sequence[str]
) -> list[Row]:
    """The formulas of stages and their parts, or of a module and what lies directly below it.

    Raises
    ------
    InputError
        The stage, the path or a metric does not exist; the message lists what does.
    """
    if stage is not None and stage not in stages:
        raise InputError(f"stage is {stage!r}; allowed: {', '.join(stages)}")
    chosen = {name: cost for name, cost in stages.items() if stage in (None, name)}
    if path is None:
        places = [place for name, cost in chosen.items() for place in _parts(str(name), cost)]
    else:
        places = [place for name, cost in chosen.items() for place in _modules(name, cost, path)]
        if not places:
            known = [p for cost in chosen.values() for p in cost.paths]
            raise InputError(f"path is {path!r}; {_nearest(path, known)}")
    return [
        Row(where, metric, as_rational(cost.figure(metric)))
        for where, cost in places
        for metric in metrics
    ]


def _parts(name: str, cost: Cost) -> Iterator[tuple[str, Cost]]:
    yield name, cost
    for part, share in cost.parts.items():
        yield from _parts(f"{name} / {part}", share)


def _modules(stage: str, cost: Cost, path: str) -> Iterator[tuple[str, Cost]]:
    share = cost.at(path)
    if not share.paths:
        return
    yield f"{stage}: {path}", share
    depth = path.count(".") + 1
    below = dict.fromkeys(
        ".".join(p.split(".")[: depth + 1]) for p in share.paths if p.count(".") >= depth
    )
    for child in below:
        yield f"{stage}: {child}", share.at(child)


def _nearest(path: str, known: Sequence[str]) -> str:
    """What could be meant: the longest beginning of the path that exists, and what follows it."""
    beginning = path
    while beginning and not any(p.startswith(f"{beginning}.") for p in known):
        beginning = beginning.rpartition(".")[0]
    depth = beginning.count(".") + 1 if beginning else 0
    below = dict.fromkeys(
        p.split(".")[depth] for p in known if not beginning or p.startswith(f"{beginning}.")
    )
    return f"allowed below {beginning or 'the root'}: {', '.join(below)}"


def formulas_as(rows: Sequence[Row], how: FormulaFormat) -> str:
    """Formulas as text in a format other than a table."""
    if how is FormulaFormat.JSON:
        listed = [
            {
                "where": row.where,
                "metric": row.metric,
                "text": row.text,
                "latex": row.latex,
                "tree": encode(row.formula),
            }
            for row in rows
        ]
        return json.dumps(listed, indent=2) + "\n"
    if how is FormulaFormat.LATEX:
        return "".join(f"% {row.where}, {row.metric}\n{row.latex}\n" for row in rows)
    if how is FormulaFormat.MARKDOWN:
        return "\n".join(f"**{row.where}**, {row.metric}:\n\n$$\n{row.latex}\n$$\n" for row in rows)
    return "".join(f"{row.where}: {row.metric} = {row.text}\n" for row in rows)
