"""Domains: conditions as regions, and gaps that cases leave."""

from __future__ import annotations

from itertools import product

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from symcost.errors import DomainError
from symcost.symbols import B, K, S, n_h, n_w, q
from symcost.trace.domain import Region, Values, gap, region, whole

SIZES = range(40)


def holds(condition: sp.Basic, size: int) -> bool:
    return bool(condition.subs(K, size))


@pytest.mark.parametrize(
    "condition",
    [
        sp.Eq(K, 7),
        sp.Ne(K, 7),
        sp.Lt(K, 7),
        sp.Le(K, 7),
        sp.Gt(K, 7),
        sp.Ge(7, K),
        sp.Lt(3 - 2 * K, -8),
        sp.Le(3 * K, 20),
        sp.Ge(3 * K, 20),
        sp.Eq(2 * K, 7),
        sp.Ne(2 * K, 7),
        sp.Ne(K**2, 256),
        sp.Ne(K**2, 255),
        sp.Eq(K**2, 255),
        sp.Eq(K**2, 9),
        sp.Le(K**2, 255),
        sp.Gt(K**2, 255),
        sp.Ge(K**3, 27),
        sp.Lt(-(K**2), -10),
        sp.And(sp.Ge(K, 3), sp.Lt(K, 5), sp.Ne(K, 4)),
    ],
    ids=str,
)
def test_a_region_holds_the_points_of_its_condition(condition):
    shown = region([condition])
    for size in SIZES:
        here = region([sp.Eq(K, size)])
        assert (shown & here).empty != holds(condition, size), size


def test_conditions_that_are_always_or_never_so():
    assert region([sp.true]) == Region()
    assert region([sp.false]).empty
    assert gap(whole([K]), [region([sp.true])]) is None
    assert gap(whole([K]), [region([sp.false])]) is not None


@pytest.mark.parametrize("condition", [sp.Or(sp.Eq(K, 1), sp.Eq(S, 2)), sp.Ge(sp.sqrt(S), 3)])
def test_what_is_not_understood_is_refused(condition):
    with pytest.raises(DomainError):
        region([condition])


ONE_AND_MORE = [region([sp.Eq(B, 1)]), region([sp.Ge(B, 2)])]


def test_cases_that_cover():
    assert gap(whole([B]), ONE_AND_MORE) is None
    both = [one & region([k]) for one in ONE_AND_MORE for k in (sp.Eq(K, 0), sp.Ge(K, 1))]
    assert gap(whole([B, K]), both) is None


@pytest.mark.parametrize("missing", range(4))
def test_every_missing_case_is_a_gap(missing):
    both = [one & region([k]) for one in ONE_AND_MORE for k in (sp.Eq(K, 0), sp.Ge(K, 1))]
    found = gap(whole([B, K]), both[:missing] + both[missing + 1 :])
    assert found is not None
    assert not (found & both[missing]).empty


def test_a_guard_is_a_gap_until_a_case_closes_it():
    symbolic = region([sp.Ge(q, 2), sp.Ne(q**2, 256)])
    one, trained = region([sp.Eq(q, 1)]), region([sp.Eq(q, 16)])
    assert str(gap(whole([q]), [symbolic, one])) == "q = 16"
    assert gap(whole([q]), [symbolic, one, trained]) is None


def test_conditions_on_products_are_taken_as_they_are():
    few, many = region([sp.Lt(n_w * n_h, 16)]), region([sp.Ge(n_w * n_h, 16)])
    assert gap(whole([n_w, n_h]), [few, many]) is None
    assert str(gap(whole([n_w, n_h]), [few])) == "n_w >= 0, n_h >= 0, n_h*n_w >= 16"


bounds = st.one_of(st.none(), st.integers(0, 6))
values = st.builds(Values, bounds, bounds, st.frozensets(st.integers(0, 6), max_size=2))
regions = st.builds(lambda b, k: Region({B: b, K: k}), values, values)


@given(st.lists(regions, max_size=5))
def test_a_gap_is_found_if_and_only_if_there_is_one(cases):
    domain = whole([B, K]) & region([sp.Le(B, 6), sp.Le(K, 6)])
    points = [region([sp.Eq(B, b), sp.Eq(K, k)]) for b, k in product(range(1, 7), range(7))]
    uncovered = [p for p in points if all((p & case).empty for case in cases)]
    found = gap(domain, cases)
    assert (found is None) == (not uncovered)
    if found is not None:
        assert any(not (found & point).empty for point in uncovered)
