"""Peaks: hand cases of what can be the largest, and of the conditions under which it is."""

from __future__ import annotations

import pytest
import sympy as sp

from symcost.cost import Cost, Storage
from symcost.errors import DomainError
from symcost.peaks import candidates, largest, peaks
from symcost.symbols import CROPS, B, F, I_g, K, S, differs, n_h, positive, w_a
from symcost.tensor import Kind

WINDOWS = sp.ceiling(I_g / 224)
UNEQUAL = {"evaluate": False}


def domains(*amounts: sp.Expr) -> list[tuple[sp.Basic, ...]]:
    return [peak.conditions for peak in peaks((str(a), a) for a in amounts)]


class TestLargest:
    def test_of_numbers_is_a_number(self):
        assert largest([sp.Integer(3), sp.Rational(7, 2), sp.Integer(2)]) == sp.Rational(7, 2)
        assert largest([]) == 0

    def test_of_one_is_itself_as_it_was_written(self):
        assert largest([B * (S + 1), B * (S + 1)]) == B * (S + 1)

    def test_does_not_depend_on_the_order(self):
        amounts = [100 * B, B * S, B * K, B + S]
        assert largest(amounts) == largest(amounts[::-1])
        assert largest(amounts).args == largest(amounts[::-1]).args

    def test_of_a_maximum_goes_into_it(self):
        inner = largest([100 * B, B * S])
        assert largest([inner, 2 * B * S]) == sp.Max(100 * B, 2 * B * S, evaluate=False)

    def test_is_what_adding_quantities_gives(self):
        live = Storage(Kind.ACTIVATION)
        one, other = (Cost.of(activation_bytes=a)[live] for a in (100 * B + S, 100 * B))
        assert (one + other).amount == (other + one).amount == 100 * B + S


DROPPED = {
    "a smaller coefficient": (B * S, 2 * B * S + 5),
    "a symbol that is at least its minimum": (sp.Integer(64), I_g),
    "a lower power of a symbol of at least 64": (64 * I_g, I_g**2),
    "what is rounded up, by its argument": (I_g, 224 * WINDOWS),
    "rounded up in steps of 64, by 192 more": (224 * WINDOWS, I_g + 192),
    "the square of what is rounded up": (224**2 * WINDOWS**2, (I_g + 192) ** 2),
    "what is rounded down": (224 * sp.floor(I_g / 224), I_g),
    "the argument of what is rounded down, less 192": (I_g, 224 * sp.floor(I_g / 224) + 192),
    "a condition, by one": (B * differs(I_g, 1024), B),
    "whether there are crops, by their number": (positive(CROPS) * I_g, CROPS * I_g),
    "rows of a grid, by its tiles": (n_h * I_g, CROPS * I_g),
    "a mean of two": (B + S, 2 * B, 2 * S),
    "less than a mean of two": (5120 * S + 20 * S**2, 2560 * S + 80 * S**2, 261120 * S),
    "a width": (w_a * B, 2 * w_a * B * S),
    "what differs by something known not to be negative": (B, B + sp.Max(S, K)),
    "a power below zero": (B, B + 1 / S),
}


@pytest.mark.parametrize("name", DROPPED)
def test_what_can_never_win_is_dropped(name):
    small, *large = DROPPED[name]
    assert candidates([small, *large]) == large
    assert candidates([*large, small]) == large


KEPT = {
    "either larger": (B * S, 100 * B),
    "one more than the bound of what is rounded up": (224 * WINDOWS, I_g + 191),
    "bytes, that may be fewer than one": (B, B * w_a),
    "a symbol that may be zero": (B, B * K),
    "crops, that may be none": (I_g, CROPS * I_g),
    "a condition": (B * differs(I_g, 1024), 2 * B * positive(CROPS)),
    "something of unknown sign": (B, sp.Min(1, S - K) + B),
    "something of unknown magnitude": (B, sp.Abs(S - K) + B - 1),
    "a convex one of three": (B**2, B * S, S**2),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_can_win_is_kept(name):
    assert candidates(KEPT[name]) == list(KEPT[name])


def test_equal_formulas_count_once_and_the_first_is_named():
    first, second = B * (S + 1), B * S + B
    assert candidates([first, second]) == [first]
    (peak,) = peaks([("a", first), ("b", second)])
    assert (peak.path, peak.amount, peak.conditions) == ("a", B * S + B, ())


@pytest.mark.parametrize("amounts", [[], [sp.Integer(7)], [sp.Integer(7), sp.Integer(3)]])
def test_peaks_of_numbers(amounts):
    assert [peak.amount for peak in peaks((str(a), a) for a in amounts)] == amounts[:1]


class TestDomains:
    def test_equal_amounts_are_the_earlier_peak(self):
        assert domains(100 * B, B * S) == [
            (sp.Le(S, 100, **UNEQUAL),),
            (sp.Ge(S, 101, **UNEQUAL),),
        ]
        assert domains(B * S, 100 * B) == [
            (sp.Ge(S, 100, **UNEQUAL),),
            (sp.Le(S, 99, **UNEQUAL),),
        ]

    def test_a_threshold_holds_whatever_other_symbols_are(self):
        # With the 8 S more it is still S >= 3232, as at 3231 they are less than 80 B S.
        attention, head = 80 * B * S**2 + 2560 * B * S + 8 * S + 256, 261120 * B * S
        assert domains(attention, head) == [
            (sp.Ge(S, 3232, **UNEQUAL),),
            (sp.Le(S, 3231, **UNEQUAL),),
        ]

    def test_what_another_symbol_moves_a_little(self):
        attention, head = 80 * B * K + 264, 258480 * B
        assert domains(attention, head) == [
            (sp.Ge(K, 3231 - 3 / B, **UNEQUAL),),
            (sp.Le(K, 3231 - 4 / B, **UNEQUAL),),
        ]

    def test_sums_keep_their_symbols(self):
        assert domains(B * S + B * K, 1365 * B) == [
            (sp.Ge(S + K, 1365, **UNEQUAL),),
            (sp.Le(S + K, 1364, **UNEQUAL),),
        ]

    def test_products_of_whole_sizes_are_bounded_by_whole_numbers(self):
        assert domains(10 * B * S, sp.Integer(95)) == [
            (sp.Ge(B * S, 10, **UNEQUAL),),
            (sp.Le(B * S, 9, **UNEQUAL),),
        ]

    def test_common_factors_are_cancelled(self):
        assert domains(6 * B * I_g**2 * S, 4 * B * I_g**2 * F) == [
            (sp.Ge(3 * S, 2 * F, **UNEQUAL),),
            (sp.Gt(2 * F, 3 * S, **UNEQUAL),),
        ]

    def test_a_factor_that_may_be_zero_is_not(self):
        assert domains(CROPS * S, CROPS * F) == [
            (sp.Ge(CROPS * S, CROPS * F, **UNEQUAL),),
            (sp.Ge(CROPS, 1, **UNEQUAL), sp.Gt(F, S, **UNEQUAL)),
        ]

    def test_a_single_value(self):
        assert domains(2 * B + 4, 5 * B) == [
            (sp.Eq(B, 1, **UNEQUAL),),
            (sp.Ge(B, 2, **UNEQUAL),),
        ]

    def test_values_with_gaps(self):
        # Up to 192 pixels take one window, up to 448 take two, and from 512 on each has 170.
        first, last = sp.Le(I_g, 128, **UNEQUAL), sp.Ge(I_g, 320, **UNEQUAL)
        windows, pixels = peaks([("windows", 150 * WINDOWS), ("pixels", I_g)])
        assert windows.conditions == (sp.Or(first, sp.Eq(I_g, 256, **UNEQUAL), **UNEQUAL),)
        assert pixels.conditions == (sp.Or(sp.Eq(I_g, 192, **UNEQUAL), last, **UNEQUAL),)
        assert [size for size in range(64, 999, 64) if windows.holds({I_g: size})] == [64, 128, 256]
        assert not any(pixels.holds({I_g: size}) for size in (64, 128, 256))

    def test_values_with_many_gaps_are_told_by_the_inequality(self):
        ((condition,), _) = domains(200 * WINDOWS, I_g)
        assert condition == sp.Ge(200 * WINDOWS, I_g, **UNEQUAL)

    def test_what_wins_nowhere_has_none(self):
        # 40 S exceeds 1600 from 41 on only, and S**2 up to 40 only.
        assert len(candidates([sp.Integer(1600), 40 * S, S**2])) == 3
        assert [p.amount for p in peaks([("a", sp.Integer(1600)), ("b", 40 * S), ("c", S**2)])] == [
            1600,
            S**2,
        ]

    def test_what_follows_from_other_conditions_is_left_out(self):
        # Where S exceeds 2 F it exceeds F + 1, which is at most that.
        assert [len(conditions) for conditions in domains(S, 2 * F, F + K)] == [2, 2, 2]
        first = domains(B * S + F, 2 * B * F + F, B * K + F, 3 * B * F)[0]
        assert len(first) == 2

    def test_crops_are_left_out_where_a_condition_fails_without_them(self):
        assert domains(2 * B, CROPS * B) == [
            (sp.Le(CROPS, 2, **UNEQUAL),),
            (sp.Ge(CROPS, 3, **UNEQUAL),),
        ]


def test_a_symbol_of_no_domain_is_refused():
    with pytest.raises(DomainError, match="not declared"):
        candidates([sp.Symbol("Z"), B])


def test_a_domain_takes_legal_points_only():
    peak, _ = peaks([("a", B * S), ("b", 100 * B)])
    with pytest.raises(DomainError, match="allowed"):
        peak.holds({S: 0, B: 1})
