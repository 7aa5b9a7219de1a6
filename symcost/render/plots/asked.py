"""What a plot is asked about: a workload, and its figures by part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias, cast

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from symcost.cost import Cost
from symcost.errors import InputError
from symcost.exact import Evaluator, Number
from symcost.execution import Execution
from symcost.insight.subject import ANSWER, CROPS, SIZES, Subject
from symcost.models import require_model
from symcost.models.deepseek_ocr.parallel import ONE_DEVICE
from symcost.models.deepseek_ocr.workload import Workload
from symcost.render.report import asked, lengths
from symcost.symbols import Expr, n_h, n_w

ByPart: TypeAlias = dict[str, Expr]
"""A formula for each part."""

_SPLIT = "decoder"
ATTENTION, EXPERTS, REST = "decoder: attention", "decoder: experts", "decoder: rest"
"""What the decoder is split into: its attention kernels, its routed experts, and all else."""
_SHARES = {"attention": ATTENTION, "experts": EXPERTS}

_MOST_TILES = 9
_SMALLEST_CONTEXT, _LARGE_CONTEXT = 128, 16384
_SIDES = (512, 640, 768, 896, 1024, 1152, 1280)
_BATCHES = tuple(2**power for power in range(9))


@dataclass(frozen=True)
class Asked:
    """A workload, and how it runs.

    Parameters
    ----------
    title : str
        What runs, in a line or two.
    workload : Workload
        Its sizes.
    subject : callable
        The model on the workload with a size left open, none if "", under the execution that was
        asked for or under another one.
    """

    title: str
    workload: Workload
    subject: Callable[[str, Execution | None], Subject]

    @classmethod
    def page(cls, model: str, execution: Execution = Execution.FUSED) -> Asked:
        """A page of A4 and an answer, as a serving engine runs them or under another execution."""
        require_model(model)

        @cache
        def under(opened: str, how: Execution) -> Subject:
            return Subject.of(model, opened, execution=how)

        def subject(opened: str, other: Execution | None) -> Subject:
            return under(opened, other or execution)

        workload = Workload.from_options(new_tokens=ANSWER)
        told = workload.as_dict()
        how = f"{model} (vendor, {execution}, head on the last token)"
        return cls(asked(how, told, ONE_DEVICE) + lengths(told), workload, subject)


def by_part(subject: Subject, stage: str, metric: str) -> ByPart:
    """A figure of each part of a stage; the decoder's by attention, routed experts and the rest."""
    found: ByPart = {}
    for name in _leaves(stage, subject.costs[stage]):
        whole, _ = subject.figure(f"{name}.{metric}")
        part = name.rpartition(".")[2]
        if part != _SPLIT:
            found[part] = whole
            continue
        shares = {
            words: subject.figure(f"{name}.{share}.{metric}")[0] for share, words in _SHARES.items()
        }
        found |= shares | {REST: whole - sp.Add(*shares.values())}
    return found


def _leaves(name: str, cost: Cost) -> Iterator[str]:
    if not cost.parts:
        yield name
    for part, share in cost.parts.items():
        yield from _leaves(f"{name}.{part}", share)


def sizes_of(subject: Subject) -> list[int]:
    """Round values of the open size that are legal; of crops, counts of tiles."""
    if subject.opened == CROPS:
        counts = (0, *range(2, _MOST_TILES + 1))
        return [count for count in counts if subject.holds(*_column(count))]
    unknown = subject.unknown
    if subject.opened == "batch":
        return list(_BATCHES)
    if subject.opened == "base_size":
        return [side for side in _SIDES if unknown.last is None or side <= unknown.last]
    first = max(_SMALLEST_CONTEXT, unknown.first)
    last = max(_LARGE_CONTEXT, 16 * first)
    return [2**power for power in range(last.bit_length()) if first <= 2**power <= last]


def own_size(subject: Subject) -> int:
    """What the workload itself has of the open size."""
    return cast("int", subject.workload.as_dict()[subject.opened])


def points_of(subject: Subject) -> list[int]:
    """Where figures are drawn: the round values, and that of the workload itself.

    Of crops the round values are all that there are.
    """
    own = set() if subject.opened == CROPS else {own_size(subject)}
    return sorted({*sizes_of(subject)} | own)


def _column(tiles: int) -> tuple[int, int]:
    """A crop grid of one column."""
    return (1, tiles) if tiles else (0, 0)


def along(subject: Subject, formula: Expr, sizes: list[int]) -> NDArray[np.float64]:
    """A figure at each of the sizes."""
    found: list[float] = []
    for size in sizes:
        if subject.opened == CROPS:
            point: dict[sp.Symbol, Number] = dict(zip((n_w, n_h), _column(size), strict=True))
        else:
            point = {SIZES[subject.opened]: size}
        found.append(drawable(Evaluator({**subject.bindings, **point})(formula)))
    return np.array(found)


def drawable(amount: Number) -> float:
    """A number as axes take it.

    Raises
    ------
    InputError
        It is too large.
    """
    try:
        found = float(amount)
    except OverflowError:
        found = float("inf")
    if found > _LARGEST:
        raise InputError(f"a plot has no room for numbers above {_LARGEST:g}; ask for less")
    return found


_LARGEST = 1e100
