"""Eager traffic against the bytes that the real model moves, by module and class of operators."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from symcost.cost import Direction
from symcost.exact import Evaluator, Number
from symcost.models.deepseek_ocr.workload import Workload
from symcost.paths import enclosing, expanded
from symcost.stages import Stage
from symcost.symbols import U
from symcost.verify.byte_counter import Moved
from symcost.verify.comparison import digits, sizes_of
from symcost.verify.eager import Share
from symcost.verify.operator_classes import (
    EXPERTS,
    Declared,
    class_of_rule,
    class_of_torch,
    declared,
)

Key = tuple[str, str, Direction]
"""A module path, a class of operators and a direction."""


@dataclass(frozen=True, eq=False)
class Observation:
    """What a run of the real model moved.

    Parameters
    ----------
    stage : Stage
        The stage that ran.
    workload : Workload
        The sizes.
    moved : Moved
        Bytes by module and operator.
    modules : tuple of str
        The paths of the modules that are compared.
    experts : int, optional
        The distinct experts that the run touched; without them the experts are left out.
    """

    stage: Stage
    workload: Workload
    moved: Moved
    modules: tuple[str, ...]
    experts: int | None = None

    @property
    def key(self) -> tuple[Stage, bool]:
        """What is stated for it: the stage, and whether there is a page."""
        return self.stage, self.workload.views is not None

    def counted(self) -> dict[Key, Number]:
        """What each module's own operators moved, by class and direction."""
        totals: dict[Key, Number] = defaultdict(int)
        for direction, seen in (
            (Direction.READ, self.moved.read.by_module),
            (Direction.WRITTEN, self.moved.written.by_module),
        ):
            own = {module: Counter(seen.get(module, {})) for module in self.modules}
            for module in self.modules:
                above = module.rpartition(".")[0]
                if module and above in own:
                    own[above].subtract(seen.get(module, {}))
            for module, by_operator in own.items():
                if not self._left_out(module):
                    for operator, amount in by_operator.items():
                        if amount:
                            totals[module, class_of_torch(operator, module), direction] += amount
        return totals

    def stated(self, shares: Iterable[Share]) -> dict[Key, Number]:
        """What is stated that each module's own operators move."""
        value, own = self._evaluator, frozenset(self.modules)
        totals: dict[Key, Number] = defaultdict(int)
        for share in shares:
            if self._left_out(share.path):
                continue
            kind = class_of_rule(share.rule, share.path)
            for module, times in _innermost(share.path, own).items():
                if value(share.amount):
                    totals[module, kind, share.direction] += times * value(share.amount)
        return totals

    def rules(
        self, shares: Iterable[Share], module: str, kind: str, direction: Direction
    ) -> dict[str, Number]:
        """The rules of a class in a module that are not zero, with where they run in it."""
        value, own = self._evaluator, frozenset(self.modules)
        found: dict[str, Number] = {}
        for share in shares:
            fits = class_of_rule(share.rule, share.path) == kind and share.direction is direction
            if fits and module in _innermost(share.path, own) and value(share.amount):
                name = f"{share.rule} {share.path.rpartition('.')[2]}"
                found[name] = found.get(name, 0) + value(share.amount)
        return found

    def operators(self, module: str, kind: str, direction: Direction) -> dict[str, int]:
        """The operators of torch of a class that ran in a module or in those inside it."""
        seen = self.moved.read if direction is Direction.READ else self.moved.written
        by_operator = seen.by_module.get(module, {})
        return {
            op: by for op, by in by_operator.items() if class_of_torch(op, module) == kind and by
        }

    def whole(self, module: str) -> int:
        """All bytes that a module moved."""
        return max(1, int(self.moved.read.of(module) + self.moved.written.of(module)))

    @property
    def _evaluator(self) -> Evaluator:
        sizes = self.workload.bindings
        return Evaluator(sizes if self.experts is None else sizes | {U: self.experts})

    def _left_out(self, path: str) -> bool:
        return self.experts is None and EXPERTS in path


@cache
def _innermost(path: str, modules: frozenset[str]) -> Mapping[str, int]:
    """How many of the operators that a path stands for belong to each module themselves."""
    around = ([m for m in enclosing(single) if m in modules] for single in expanded(path))
    return Counter(found[-1] for found in around if found)


@dataclass(frozen=True)
class Gap:
    """A class of a module's own operators for which the two sides do not agree.

    Parameters
    ----------
    module, kind, direction
        Which.
    stated, counted : int or Fraction
        The bytes.
    rules, operators : mapping of str to int
        What they are made of, by rule and path or by operator of torch.
    declared : list of Declared
        The differences that are known there.
    share : float
        The difference as a share of what the whole module moves.
    workload : Workload
        The sizes.
    """

    module: str
    kind: str
    direction: Direction
    stated: Number
    counted: Number
    rules: Mapping[str, Number]
    operators: Mapping[str, int]
    declared: list[Declared]
    share: float
    workload: Workload

    @property
    def difference(self) -> Number:
        """What is stated beyond what was counted."""
        return self.stated - self.counted

    @property
    def is_known(self) -> bool:
        """Whether what is known of it makes up for it, byte by byte."""
        key = (self.module, self.kind, self.direction)
        return self.difference + known_more(key, self.workload) == 0

    def __str__(self) -> str:
        named = ", ".join(f"{name} {digits(by)}" for name, by in self.rules.items())
        seen = ", ".join(f"{name} {digits(by)}" for name, by in self.operators.items())
        return (
            f"{self.module or 'the whole model'}: bytes {self.direction} by {self.kind}: stated "
            f"{digits(self.stated)} ({named or 'nothing'}), counted {digits(self.counted)} "
            f"({seen or 'nothing'}), difference {digits(self.difference)} "
            f"({sizes_of(self.workload)})"
        )


def disagreeing(
    observation: Observation, stated: Mapping[Key, Number], counted: Mapping[Key, Number]
) -> list[Key]:
    """The keys for which the two sides do not agree with what is known of their difference."""
    return [
        key
        for key in _keys(stated, counted)
        if stated.get(key, 0) + known_more(key, observation.workload) != counted.get(key, 0)
    ]


def _keys(stated: Mapping[Key, Number], counted: Mapping[Key, Number]) -> list[Key]:
    return list(dict.fromkeys((*stated, *counted)))


def known_more(key: Key, workload: Workload) -> int:
    """What the real code is known to move beyond what is stated."""
    return sum(known.more(workload, key[2]) for known in declared(*key, workload))


def gaps(observation: Observation, shares: Sequence[Share]) -> list[Gap]:
    """Every difference between what is stated and what a run moved, known ones too."""
    stated, counted = observation.stated(shares), observation.counted()
    found = []
    for key in _keys(stated, counted):
        ours, theirs = stated.get(key, 0), counted.get(key, 0)
        if ours != theirs or known_more(key, observation.workload):
            found.append(
                Gap(
                    *key,
                    ours,
                    theirs,
                    observation.rules(shares, *key),
                    observation.operators(*key),
                    declared(*key, observation.workload),
                    float(abs(Fraction(ours - theirs)) / observation.whole(key[0])),
                    observation.workload,
                )
            )
    return found
