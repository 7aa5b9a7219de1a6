"""Rules of operators stated wrongly, one mistake in what they touch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any, TypeVar
from unittest import mock

from symcost.graph import Scratch
from symcost.operators import OPERATORS, Rule
from symcost.operators.base import Out
from symcost.symbols import ZERO, Expr
from symcost.tensor import Piece, Tensor, product, same

Touched = dict[str, Expr]
"""What a rule touches, by place: elements of each read and each write, bytes of scratch."""

Change = Callable[[Rule], Rule]
T = TypeVar("T")


def mistakes(rule: Rule) -> dict[str, Change]:
    """Every place doubled, every place dropped and every two exchanged.

    Left out is what changes no amount whatever the sizes, such as nothing doubled or an amount
    exchanged for an equal one. Scratch is in bytes, so it is exchanged with scratch only.
    """
    right = touched(rule)
    wrong: dict[str, Callable[[Touched], Touched]] = {}
    for place in right:
        wrong[f"{place} doubled"] = partial(_multiplied, place, 2)
        wrong[f"{place} dropped"] = partial(_multiplied, place, 0)
    for one, other in combinations(right, 2):
        if one.startswith("scratch") == other.startswith("scratch"):
            wrong[f"{one} exchanged with {other}"] = partial(_exchanged, one, other)
    return {
        name: partial(_misstated, change)
        for name, change in wrong.items()
        if not all(map(same, change(right).values(), right.values()))
    }


def touched(rule: Rule) -> Touched:
    """What a rule states to touch."""
    writes = [amount for out in rule.out for amount in _written(out)]
    return {
        **{f"read {i}": piece.elements for i, piece in enumerate(_pieces(rule))},
        **{f"write {i}": amount for i, amount in enumerate(writes)},
        "scratch read": rule.scratch.read,
        "scratch write": rule.scratch.written,
    }


def _pieces(rule: Rule) -> list[Piece]:
    return [
        piece
        for read in rule.reads
        for piece in (read.pieces if isinstance(read, Tensor) else (read,))
    ]


def _written(out: Out) -> list[Expr]:
    """What is copied from where it lay, if anything, and what is new."""
    new = product(out.shape) if out.written is None else out.written
    return [new] if out.moved == 0 else [out.moved, new]


def _multiplied(place: str, factor: int, right: Touched) -> Touched:
    return {at: factor * amount if at == place else amount for at, amount in right.items()}


def _exchanged(one: str, other: str, right: Touched) -> Touched:
    if not {one, other} <= right.keys():
        return right
    return right | {one: right[other], other: right[one]}


def _misstated(change: Callable[[Touched], Touched], rule: Rule) -> Rule:
    """A rule that states to touch something else."""
    wrong = change(touched(rule))
    writes = iter([amount for place, amount in wrong.items() if place.startswith("write")])
    return replace(
        rule,
        reads=tuple(
            replace(piece, elements=wrong[f"read {i}"]) for i, piece in enumerate(_pieces(rule))
        ),
        out=tuple(
            replace(out, moved=next(writes) if out.moved != 0 else ZERO, written=next(writes))
            for out in rule.out
        ),
        scratch=Scratch(wrong["scratch read"], wrong["scratch write"]),
    )


@contextmanager
def changed_rule(operator: str, change: Change) -> Iterator[None]:
    """The rule of an operator replaced by one that is changed."""
    right = OPERATORS[operator].rule

    def wrong(*args: Any, **named: Any) -> Rule:
        return change(right(*args, **named))

    with mock.patch.dict(vars(OPERATORS[operator]), rule=wrong):
        yield


def under_each_mistake(operator: str, run: Callable[[], T]) -> Iterator[tuple[str, T]]:
    """What comes of a run with each mistake in what an operator touches there, one at a time."""
    seen: dict[str, Change] = {}

    def note(rule: Rule) -> Rule:
        seen.update(mistakes(rule))
        return rule

    with changed_rule(operator, note):
        run()
    assert seen
    for name, mistake in seen.items():
        with changed_rule(operator, mistake):
            wrong = run()
        yield name, wrong
