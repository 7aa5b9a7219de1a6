"""Charts of signs, against the sign at every value of a long range and at some far ones."""

import random
from itertools import pairwise

import pytest
import sympy as sp

from symcost.errors import DomainError
from symcost.insight.signs import Chart, Run, sign_chart, sign_of_maxima
from symcost.symbols import B, I_g, K
from tests.insight.formulas import Function, formula

LONG = 150
FAR = (10**4, 10**6 + 3, 10**9 + 7, 2**80)


def sign(value) -> int:
    return (value > 0) - (value < 0)


def told(chart: Chart, value: int) -> int:
    return next(
        run.sign
        for run in chart.runs
        if run.first <= value and (run.last is None or value <= run.last)
    )


def wrong(chart: Chart, function: Function) -> list[int]:
    return [x for x in (*range(1, LONG), *FAR) if told(chart, x) != sign(function(x))]


def lengths_of(seeds) -> set[int]:
    """Charts random formulas, compares them with every value, and tells how many runs there are."""
    lengths = set()
    for seed in seeds:
        text, function = formula(random.Random(seed))
        chart = sign_chart(sp.expand(text), B, 1)
        assert wrong(chart, function) == [], seed
        assert chart.runs[0].first == 1
        assert chart.runs[-1].last is None
        for one, other in pairwise(chart.runs):
            assert one.last == other.first - 1
            assert one.sign != other.sign
        lengths.add(len(chart.runs))
    return lengths


def test_every_value():
    assert len(lengths_of(range(300))) > 4


@pytest.mark.slow
@pytest.mark.parametrize("block", range(1, 20))
def test_every_value_of_thousands(block):
    assert len(lengths_of(range(300 * block, 300 * block + 300))) > 4


def test_a_search_that_trusts_a_single_change_would_be_found_out():
    def halving(function: Function) -> Chart:
        low, high = 1, 2**20
        if sign(function(low)) == sign(function(high)):
            return Chart((Run(1, None, sign(function(1))),))
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (
                (middle, high) if sign(function(middle)) == sign(function(1)) else (low, middle)
            )
        return Chart((Run(1, low, sign(function(1))), Run(high, None, sign(function(high)))))

    functions = [formula(random.Random(seed))[1] for seed in range(100)]
    assert sum(bool(wrong(halving(function), function)) for function in functions) > 10


@pytest.mark.parametrize("seed", range(60))
def test_maxima_of_both_sides(seed):
    rng = random.Random(seed)
    left, right = ([formula(rng) for _ in range(rng.randint(1, 3))] for _ in range(2))
    charts = [sign_chart(sp.expand(one - other), B, 1) for one, _ in left for other, _ in right]
    chart = sign_of_maxima(charts, len(right), 1)

    def function(x):
        return max(one(x) for _, one in left) - max(other(x) for _, other in right)

    assert wrong(chart, function) == []


def test_values_are_multiples_of_what_the_domain_says():
    chart = sign_chart(I_g - 1000, I_g, 64)
    assert chart.runs == (Run(64, 960, -1), Run(1024, None, 1))


def test_a_range_may_end():
    assert sign_chart(K - 7, K, 0, 9).runs == (Run(0, 6, -1), Run(7, 7, 0), Run(8, 9, 1))


def test_what_cannot_be_proved_is_refused():
    # Zero at every even value: no range of values has one sign.
    teeth = B - 2 * sp.floor(B / 2)
    with pytest.raises(DomainError, match="cannot be proved from B = "):
        sign_chart(teeth, B, 1)
