"""Programs step by step: bounds hold for every row, and a mistake in any step is noticed."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from symcost.numeric.forms import Forms
from symcost.numeric.program import Bound, Op, Program
from symcost.symbols import B, K, S, T
from tests.numeric.support import LEAST, NAMES, STEPS, by_chance, exactly

OPERATIONS = {
    Op.PRODUCT: lambda a, b: a * b,
    Op.LEAST: min,
    Op.GREATEST: max,
}


def rows_of(program: Program, point: dict[str, int]) -> list[tuple[int, list[int]]]:
    """Every row in Python integers, with the terms that it sums."""
    rows: list[tuple[int, list[int]]] = [(point[name], []) for name in program.names]
    rows.append((1, []))
    for op, a, b in program.steps:
        terms: list[int] = []
        if op is Op.SUM:
            terms = [number * rows[row][0] for row, number in program.terms[a:b]]
            value = sum(terms)
        elif op in (Op.FLOOR, Op.QUOTIENT):
            assert op is Op.FLOOR or rows[a][0] % b == 0
            value = rows[a][0] // b
        elif op is Op.MAGNITUDE:
            value = abs(rows[a][0])
        elif op is Op.LOOKUP:
            assert rows[a][0] >= 0
            value = program.tables[rows[a][0] + b]
        else:
            value = OPERATIONS[op](rows[a][0], rows[b][0])
        rows.append((value, terms))
    return rows


def outside(bounds: list[Bound], rows: list[tuple[int, list[int]]]) -> set[int]:
    """Rows whose value, or any partial sum in any order, lies outside of their bounds."""
    wrong = set()
    for row, (bound, (value, terms)) in enumerate(zip(bounds, rows, strict=True)):
        above, below = sum(t for t in terms if t > 0), -sum(t for t in terms if t < 0)
        largest = max(abs(value), above, below)
        if not (bound.low <= value <= bound.high and largest <= bound.reach):
            wrong.add(row)
        if bound.negative < max(0, -value):
            wrong.add(row)
    return wrong


lengths = st.one_of(st.integers(0, 12), st.integers(0, 2**40))
TABLE = sp.floor(100 * sp.Rational(3, 4) ** sp.Min(B, 9)) * (S - 5)


@st.composite
def cases(draw):
    choose = lambda options: draw(st.sampled_from(list(options)))  # noqa: E731
    formulas = {
        "one": by_chance(choose, draw(st.integers(1, 3))),
        "two": by_chance(choose, 2) * B - TABLE,
    }
    ranges, inside = {}, {}
    for name in NAMES:
        step, least = STEPS.get(name, 1), LEAST.get(name, 1)
        ends = sorted(max(draw(lengths), least) for _ in range(2))
        between = draw(st.integers(*ends))
        ranges[name] = (ends[0] * step, ends[1] * step)
        inside[name] = [ends[0] * step, between * step, ends[1] * step]
    mix = draw(st.lists(st.tuples(*(st.integers(0, 2) for _ in NAMES)), min_size=4, max_size=4))
    places = [*((at,) * len(NAMES) for at in range(3)), *mix]
    points = [{n: inside[n][at] for n, at in zip(NAMES, place, strict=True)} for place in places]
    return formulas, ranges, points


@settings(max_examples=50)
@given(cases())
def test_bounds_hold_for_every_row(case):
    formulas, ranges, points = case
    program = Program.of(Forms(formulas))
    bounds = program.bounds(ranges)
    for point in points:
        rows = rows_of(program, point)
        assert not outside(bounds, rows)
        # The rows are those of the figures.
        for name, row, over in zip(formulas, program.results, program.denominators, strict=True):
            assert rows[row][0] == exactly(formulas[name], **point) * over


EVERY_OP = {
    "sum": sp.floor((3 * B * S - 2 * K + 5) / 7) + TABLE,
    "clamps": sp.Min(B, S, K) * sp.Max(K, T - 3) + sp.Abs(B - 2 * S) * 4,
    "quotient": B * (B + 1) / 2 - 9 * T,
    "page": sp.ceiling(sp.Symbol("I_g", integer=True, positive=True) / 224) * B,
}
RANGES = {"B": (1, 12), "S": (1, 30), "K": (0, 20), "T": (1, 12), "I_g": (64, 640)}


def points(count: int) -> list[dict[str, int]]:
    chance = random.Random(7)
    corners = [{n: ends[at] for n, ends in RANGES.items()} for at in (0, 1)]
    within = [
        {n: chance.randrange(a, b + 1, STEPS.get(n, 1)) for n, (a, b) in RANGES.items()}
        for _ in range(count)
    ]
    swapped = [{n: RANGES[n][at == place % 3] for at, n in enumerate(RANGES)} for place in range(6)]
    mixed = [{n: RANGES[n][bits >> at & 1] for at, n in enumerate(RANGES)} for bits in range(32)]
    return [*corners, *within, *swapped, *mixed]


def program_of_every_op() -> Program:
    return Program.of(Forms(EVERY_OP))


def test_every_op_has_a_step():
    assert {op for op, _, _ in program_of_every_op().steps} == set(Op)


def test_a_bound_that_is_too_small_is_noticed():
    program = program_of_every_op()
    bounds = program.bounds(RANGES)
    found = [rows_of(program, point) for point in points(400)]
    assert not any(outside(bounds, rows) for rows in found)
    for row in range(program.rows):
        values = [rows[row][0] for rows in found]
        low, high = min(values), max(values)
        reach = max(
            max(abs(value), sum(t for t in terms if t > 0), -sum(t for t in terms if t < 0))
            for value, terms in (rows[row] for rows in found)
        )
        for change in ({"low": low + 1}, {"high": high - 1}, {"reach": reach - 1}):
            changed = [*bounds]
            changed[row] = replace(bounds[row], **change)
            assert any(row in outside(changed, rows) for rows in found)


def figures_differ(program: Program) -> bool:
    """Whether a program's figures on arrays are not those of the formulas."""
    asked = points(60)
    sizes = [np.array([point[name] for point in asked]) for name in program.names]
    try:
        found = program.evaluate(sizes, np.int64)
    except IndexError:
        return True
    for formula, row in zip(EVERY_OP.values(), found, strict=True):
        expected = [exactly(formula, **point) for point in asked]
        if np.broadcast_to(row, len(asked)).tolist() != expected:
            return True
    return False


def test_a_program_without_mistakes():
    assert not figures_differ(program_of_every_op())


def mistakes(op: Op, a: int, b: int) -> list[tuple[Op, int, int]]:
    """Steps that somebody might have meant instead."""
    if op is Op.SUM:
        return [(op, a, b - 1), (op, a + 1, b)]
    if op in (Op.FLOOR, Op.QUOTIENT, Op.LOOKUP):
        return [(op, a, b + 1)]
    if op is Op.MAGNITUDE:
        return [(Op.GREATEST, a, a)]
    return [(other, a, b) for other in OPERATIONS if other is not op]


@pytest.mark.parametrize("step", range(len(program_of_every_op().steps)))
def test_a_mistake_in_any_step(step):
    program = program_of_every_op()
    for change in mistakes(*program.steps[step]):
        program.steps[step] = change
        assert figures_differ(program), change


@pytest.mark.parametrize("by", [-1, 1, 2**32])
def test_a_mistake_in_any_coefficient_or_table(by):
    program = program_of_every_op()
    for place, (row, number) in enumerate(program.terms):
        program.terms[place] = (row, number + by)
        assert figures_differ(program), place
        program.terms[place] = (row, number)
    # No batch is 0, so that the first entry is never looked up.
    for place, entry in list(enumerate(program.tables))[1:]:
        program.tables[place] = entry + by
        assert figures_differ(program), place
        program.tables[place] = entry
    assert not figures_differ(program)


def test_names_and_results_in_another_order():
    program = program_of_every_op()
    program.results[0], program.results[1] = program.results[1], program.results[0]
    assert figures_differ(program)
