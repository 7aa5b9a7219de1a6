"""Peaks of the real model: what is left of all moments is as large as all, in one domain each."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from random import Random

import pytest
import sympy as sp

import symcost
from symcost import bounds
from symcost import peaks as subject
from symcost.cost import StageCost
from symcost.exact import Evaluator
from symcost.execution import Execution
from symcost.models.deepseek_ocr.workload import symbolic_stages
from symcost.peaks import Peak, candidates, peaks
from symcost.stages import Stage
from symcost.symbols import B, I_g, I_t, K, S, info_of, n_h, n_w
from tests.laws.cases import BF16, GRIDS, WIDTHS, Point

POINTS = 25
LARGE = {B: 500, S: 20_000, K: 20_000, I_g: 4096, I_t: 4096}
STAGES = [(stage, execution) for stage in Stage for execution in Execution]


@cache
def stages(execution: Execution) -> dict[str, StageCost]:
    model = symcost.load("deepseek-ocr", execution=execution.value, widths=symcost.Widths.SYMBOLIC)
    return symbolic_stages(model)


@cache
def moments(stage: Stage, execution: Execution, *, wide: bool) -> tuple[tuple[str, sp.Expr], ...]:
    cost = stages(execution)[stage]
    return (cost if wide else cost.bind(BF16)).moments


@cache
def domains(stage: Stage, execution: Execution) -> tuple[Peak, ...]:
    return peaks(moments(stage, execution, wide=False))


def legal(random: Random, *, wide: bool = False) -> Point:
    """A legal point: sizes of all magnitudes, so that each of them is what matters somewhere."""
    point: Point = {}
    for symbol, most in LARGE.items():
        info = info_of(symbol)
        size = int((most + 1) ** random.random()) - 1
        point[symbol] = max(info.minimum, 1, size // info.multiple_of) * info.multiple_of
        if not info.minimum and not size:
            point[symbol] = 0
    point[n_w], point[n_h] = random.choice(GRIDS)
    widths = [Fraction(1, 2), 1, 2, 4, Fraction(1, 100)]
    return point | ({width: random.choice(widths) for width in WIDTHS} if wide else {})


def borders(found: tuple[Peak, ...], random: Random) -> Iterator[Point]:
    """Points on both sides of where the values of single symbols begin and end."""
    for peak in found:
        for condition in peak.conditions:
            for relation in condition.atoms(sp.core.relational.Relational):
                if relation.lhs.is_Symbol and relation.rhs.is_Integer:
                    symbol, value = relation.lhs, int(relation.rhs)
                    info = info_of(symbol)
                    for near in (value - info.multiple_of, value, value + info.multiple_of):
                        if near >= info.minimum:
                            yield legal(random) | {symbol: near}


def check_maximum(amounts: list[sp.Expr], left: list[sp.Expr], point: Point) -> None:
    value = Evaluator(point)
    assert max(map(value, left)) == max(map(value, amounts)), point


def check_domains(amounts: list[sp.Expr], found: tuple[Peak, ...], point: Point) -> None:
    value = Evaluator(point)
    (peak,) = [peak for peak in found if peak.holds(point)]
    assert value(peak.amount) == max(map(value, amounts)), point


@pytest.mark.parametrize("wide", [True, False], ids=["any widths", "bf16"])
@pytest.mark.parametrize(("stage", "execution"), STAGES)
def test_what_is_left_is_as_large_as_all(stage, execution, wide):
    amounts = [amount for _, amount in moments(stage, execution, wide=wide)]
    left = candidates(amounts)
    assert set(left) <= set(amounts)
    random = Random(f"{stage} {execution} {wide}")
    for _ in range(POINTS):
        check_maximum(amounts, left, legal(random, wide=wide))


@pytest.mark.parametrize(("stage", "execution"), STAGES)
def test_exactly_one_domain_holds_and_there_it_is_the_peak(stage, execution):
    random = Random(f"{stage} {execution}")
    amounts = [amount for _, amount in moments(stage, execution, wide=False)]
    found = domains(stage, execution)
    for point in (*(legal(random) for _ in range(POINTS)), *borders(found, random)):
        check_domains(amounts, found, point)


@pytest.mark.parametrize(("stage", "execution"), STAGES)
def test_every_domain_names_a_moment(stage, execution):
    named = {(path, sp.expand(amount)) for path, amount in moments(stage, execution, wide=False)}
    assert {(peak.path, peak.amount) for peak in domains(stage, execution)} <= named


@pytest.mark.parametrize(("stage", "execution"), STAGES)
def test_few_are_left(stage, execution):
    """That pruning prunes: how many are left is no law, so the bound is wide."""
    assert len(domains(stage, execution)) <= 8


def first_of_large_views(symbol: sp.Symbol) -> int:
    return 2048 if symbol in (I_g, I_t) else info_of(symbol).minimum


def without_what_is_negative(region: object, terms: dict[tuple[int, ...], object]) -> int:
    return 0


def without_rounding(region: bounds.Region, formula: sp.Expr) -> object:
    return region.read(formula.args[0])


MUTANTS = {
    "views begin at 2048 pixels": (bounds, "first_value", first_of_large_views),
    "what is negative does not count": (bounds.Region, "_least", without_what_is_negative),
    "windows are not rounded up": (bounds.Region, "_read_rounded", without_rounding),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_an_unsound_proof_is_found(name, monkeypatch):
    """Each way to prove too much fails the laws, on the real model and its points."""
    monkeypatch.setattr(*MUTANTS[name])
    random = Random(name)
    given = moments(Stage.VISION, Execution.FUSED, wide=False)
    amounts = [amount for _, amount in given]
    left, found = candidates(amounts), peaks(given)

    def check() -> None:
        for _ in range(200):
            point = legal(random)
            check_maximum(amounts, left, point)
            check_domains(amounts, found, point)

    with pytest.raises((AssertionError, ValueError)):
        check()


def test_equal_amounts_given_to_both_are_found(monkeypatch):
    monkeypatch.setattr(subject._Margin, "__init__", lenient)
    found = peaks([("a", B * S), ("b", B * K)])
    with pytest.raises(ValueError, match="too many"):
        check_domains([B * S, B * K], found, {B: 1, S: 3, K: 3})


def lenient(margin: subject._Margin, formula: sp.Expr, strict: bool) -> None:
    object.__setattr__(margin, "formula", formula)
    object.__setattr__(margin, "strict", False)
