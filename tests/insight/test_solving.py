"""Solved conditions, against trying every value; closed forms, against what they solve."""

import random
from collections import Counter
from fractions import Fraction

import pytest
import sympy as sp

import symcost
from symcost.errors import DomainError
from symcost.exact import Evaluator, as_rational
from symcost.insight import solving
from symcost.insight.closed_forms import ClosedForm
from symcost.insight.solving import HOLDS, Condition, Unknown, alternatives, solve
from symcost.insight.subject import ANSWER, Subject
from symcost.models.deepseek_ocr.workload import Workload, costs_of
from symcost.symbols import B, K, S, T
from tests.insight.formulas import formula

LONG = 120
FAR = (10**5, 10**9 + 7)
BATCH = Unknown("batch", B, 1)


def contains(ranges, value) -> bool:
    return any(first <= value and (last is None or value <= last) for first, last in ranges)


def random_case(seed):
    """Conditions, and for each a function that tells whether it holds at a value."""
    rng = random.Random(seed)
    conditions, functions = [], []
    for _ in range(rng.randint(1, 2)):
        left, right = ([formula(rng) for _ in range(rng.randint(1, 2))] for _ in range(2))
        operator = rng.choice(list(HOLDS))

        def holds(x, left=left, right=right, operator=operator):
            a, b = max(f(x) for _, f in left), max(f(x) for _, f in right)
            return {"<=": a <= b, "<": a < b, ">=": a >= b, ">": a > b, "==": a == b}[operator]

        sides = [sp.Max(*(text for text, _ in side), evaluate=False) for side in (left, right)]
        conditions.append(Condition("it", sides[0], operator, sides[1]))
        functions.append(holds)
    return conditions, lambda x: all(holds(x) for holds in functions)


def outcomes_of(seeds) -> Counter[str]:
    """Solves random conditions, and compares what is found with trying every value."""
    outcomes: Counter[str] = Counter()
    for seed in seeds:
        conditions, holds = random_case(seed)
        wanted = {x: holds(x) for x in (*range(1, LONG), *FAR)}
        try:
            solution = solve(conditions, BATCH, {})
        except DomainError as error:
            if "cannot be proved" in str(error):
                outcomes["refused"] += 1
                continue
            outcome = "none" if "no batch meets" in str(error) else "all"
            found = dict.fromkeys(wanted, outcome == "all")
        else:
            outcome = "solved"
            found = {x: contains(solution.ranges, x) for x in wanted}
            for boundary in solution.boundaries:
                assert holds(boundary.holds), seed
                assert not holds(boundary.fails), seed
                assert abs(boundary.holds - boundary.fails) == 1
        assert found == wanted, seed
        outcomes[outcome] += 1
    return outcomes


def test_random_conditions():
    outcomes = outcomes_of(range(160))
    assert outcomes["refused"] < 4
    assert min(outcomes[name] for name in ("solved", "none", "all")) > 8


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_thousands_of_random_conditions(block):
    assert outcomes_of(range(400 * block, 400 * block + 400))["refused"] < 4


def test_a_closed_form_that_is_off_by_one_is_refused(monkeypatch):
    conditions = [Condition("it", 3 * B, "<=", sp.Integer(100))]
    closed = solve(conditions, BATCH, {}).boundaries[0].closed
    assert isinstance(closed, ClosedForm)
    assert closed.whole == 33
    honest = solving._whole_root
    monkeypatch.setattr(solving, "_whole_root", lambda *a, **k: honest(*a, **k) + 2)
    with pytest.raises(DomainError, match="root"):
        solve(conditions, BATCH, {})


@pytest.mark.parametrize("seed", range(60))
def test_roots_of_degree_two(seed):
    """Against the change of sign, looked for value by value."""
    rng = random.Random(seed)
    a, root, other = (
        rng.choice([-3, -1, 1, 2, 5]),
        Fraction(rng.randint(3, 900), 7),
        -Fraction(rng.randint(1, 90), 11),
    )
    formula = sp.expand(a * (B - as_rational(root)) * (B - as_rational(other)))
    (boundary,) = solve([Condition("it", formula, "<", sp.Integer(0))], BATCH, {}).boundaries
    below = root.numerator // root.denominator
    assert boundary.closed.whole == below
    whole = {below, below + 1, below - 1}
    assert {boundary.holds, boundary.fails} <= whole


def test_a_leading_coefficient_that_vanishes_at_the_point():
    condition = Condition("it", K * B**2 + 3 * B, "<=", sp.Integer(100))
    (boundary,) = solve([condition], BATCH, {K: 0}).boundaries
    assert boundary.holds == 33
    assert boundary.closed.numbers == (-100, 3)


def test_a_root_at_zero_is_left_out():
    condition = Condition("it", 5 * B**2 - 203 * B, "<=", sp.Integer(0))
    (boundary,) = solve([condition], BATCH, {}).boundaries
    assert boundary.holds == 40
    assert boundary.closed.numbers == (-203, 5)


def test_equality_that_no_whole_number_meets():
    with pytest.raises(DomainError, match="the sides cross between 3 and 4"):
        solve([Condition("it", 2 * B, "==", sp.Integer(7))], BATCH, {})


def test_conditions_that_exclude_each_other():
    conditions = [
        Condition("one", B, "<=", sp.Integer(7)),
        Condition("other", B, ">", sp.Integer(7)),
    ]
    with pytest.raises(DomainError, match="no batch meets one and other at once"):
        solve(conditions, BATCH, {})


def test_the_domain_of_a_closed_form():
    condition = Condition("it", 10 * B + sp.Min(B, 50), "<=", sp.Integer(2000))
    (boundary,) = solve([condition], BATCH, {}).boundaries
    assert boundary.holds == 195
    assert boundary.closed.domain == ((sp.Integer(50), B),)


def test_maxima_are_taken_out_of_sums_and_products():
    found = alternatives(B * (S + sp.Max(K, T)) + sp.Max(B, S, evaluate=False))
    assert set(map(sp.expand, found)) == {
        sp.expand(B * (S + x) + y) for x in (K, T) for y in (B, S)
    }
    with pytest.raises(DomainError, match="a maximum cannot be taken out"):
        alternatives(-sp.Max(K, T))


# The model's own formulas.


def build(views):
    return symcost.load("deepseek-ocr", views=views, execution="ideal", lm_head="last")


@pytest.fixture(scope="module")
def batches() -> Subject:
    return Subject.of("deepseek-ocr", "batch")


def test_the_largest_batch_in_memory(batches):
    """Against costs that are built anew with each batch as a number."""
    formula, _ = batches.figure("generation.resident_bytes")
    rng = random.Random(6)
    for _ in range(60):
        batch = rng.randint(1, 40)
        resident = (
            [
                costs_of(build, Workload.from_options(batch=b, new_tokens=ANSWER)).generation
                for b in (batch, batch + 1)
            ]
            if batch < 4
            else None
        )
        evaluator = [Evaluator({**batches.bindings, B: b})(formula) for b in (batch, batch + 1)]
        if resident is not None:
            assert [r.resident_bytes for r in resident] == evaluator
        limit = rng.randint(evaluator[0], evaluator[1] - 1)
        condition = Condition("memory", formula, "<=", sp.Integer(limit))
        assert solve([condition], batches.unknown, batches.bindings).ranges == ((1, batch),)


@pytest.mark.parametrize(
    ("opened", "left", "right"),
    [
        ("batch", "decode.weight_bytes", "decode.kv_bytes"),
        ("batch", "decode.bytes_read", "prefill.bytes_read"),
        ("context_len", "prefill.decoder.flops", "prefill.vision.flops"),
        ("cached", "decode.attention.bytes_moved", "decode.rest.bytes_moved"),
        ("new_tokens", "decode.flops", "prefill.flops"),
        ("base_size", "vision.sam.attention.flops", "vision.sam.rest.flops"),
        ("tile_size", "vision.sam.flops", "vision.clip.flops"),
    ],
)
def test_crossings_of_the_model(opened, left, right):
    """Against every value up to the crossing and as many behind it."""
    subject = Subject.of("deepseek-ocr", opened)
    sides = [subject.figure(name)[0] for name in (left, right)]
    unknown = subject.unknown
    try:
        solution = solve([Condition("it", sides[0], ">=", sides[1])], unknown, subject.bindings)
    except DomainError:
        solution = None
    end = 2 * max((b.holds for b in solution.boundaries), default=0) if solution else 4000
    step = max(unknown.step, (end - unknown.first) // 600 // unknown.step * unknown.step)
    near = [x for b in solution.boundaries for x in (b.holds, b.fails)] if solution else []
    held = {}
    for value in (*range(unknown.first, end, step), *near):
        evaluator = Evaluator({**subject.bindings, unknown.symbol: value})
        held[value] = evaluator(sides[0]) >= evaluator(sides[1])
    if solution is None:
        assert len(set(held.values())) == 1
    else:
        assert {x: contains(solution.ranges, x) for x in held} == held
