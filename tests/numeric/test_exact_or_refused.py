"""Traps: what a compiled figure must get exactly right, or refuse, one by one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from symcost.errors import DomainError
from symcost.exact import Evaluator
from symcost.numeric.compiled import Compiled
from symcost.symbols import CATALOGUE, B, K, S, T, w_a, w_w

HUGE = 2**63


def exactly(formula, **sizes):
    return Evaluator({CATALOGUE[name].symbol: value for name, value in sizes.items()})(formula)


def compiled(formula, dtype=None):
    return Compiled({"figure": formula}, single=True, dtype=dtype)


class TestBeyond64Bits:
    @pytest.mark.parametrize(
        "formula",
        [2**62 * (B + S), HUGE * B + S, 2**70 * B + S, (HUGE - 1) * B + S, B + S - 2**63 + 1],
        ids=str,
    )
    def test_coefficients_at_the_least_sizes(self, formula):
        figure = compiled(formula)
        for batch in (1, 2, 3):
            expected = exactly(formula, B=batch, S=1)
            assert figure(B=batch, S=1) == expected
            assert figure(B=[batch], S=1).tolist() == [expected]

    @pytest.mark.parametrize("number", [0, -1, 2**53 + 1, HUGE - 1, HUGE, 2**64, -HUGE, 10**30])
    def test_a_figure_without_sizes(self, number):
        assert compiled(sp.Integer(number))() == number
        assert compiled(sp.Integer(number))(B=[1, 2]).tolist() == [number, number]

    BATCHES = (3, HUGE - 1, HUGE, 2**64 - 1, 2**64, 2**65 + 1, 10**40)

    @pytest.mark.parametrize("batches", [BATCHES, BATCHES[::-1]], ids=["growing", "shrinking"])
    def test_a_size(self, batches):
        formula = B - sp.floor(B / 3) + sp.Min(B, S)
        figure = compiled(formula)
        for batch in batches:
            expected = exactly(formula, B=batch, S=7)
            assert figure(B=batch, S=7) == expected
            assert figure(B=np.array([batch]), S=7).tolist() == [expected]

    def test_a_negative_size_is_refused(self):
        figure = compiled(B * S)
        for batch in (-1, -HUGE, -HUGE - 1, -(2**64), -(10**40)):
            for given in (batch, [batch]):
                with pytest.raises(DomainError, match=r"^B "):
                    figure(B=given, S=7)


THIRDS = [Fraction(1, 3), Fraction(2, 3), 1, Fraction(4, 3), 2, Fraction(7, 2), 3, Fraction(10, 3)]


class TestWidthsThatAreFractions:
    @pytest.mark.parametrize(
        "formula",
        [
            B * w_w,
            B * w_w / 2 + w_a,
            sp.floor(B * w_w),
            sp.ceiling(B * w_w),
            sp.ceiling(w_w / 2 - B),
            sp.floor(sp.Min(w_w, 2) * 3),
            sp.ceiling(sp.Max(w_w, sp.Rational(1, 2))),
            sp.floor(sp.Abs(w_w - 2)),
            sp.Min(w_w, 3) * (sp.Min(w_w, 3) + 1) / 2,
            sp.floor(B * w_w) * (sp.floor(B * w_w) + 1) / 2,
            sp.Max(B * w_w, w_a + 1),
        ],
        ids=str,
    )
    def test_nothing_is_cut_off(self, formula):
        names = {"B": [1, 3], "w_w": THIRDS, "w_a": [Fraction(1, 2), 1]}
        used = {n: v for n, v in names.items() if CATALOGUE[n].symbol in formula.free_symbols}
        figure = compiled(formula)
        for batch in names["B"]:
            for width in THIRDS:
                for other in names["w_a"]:
                    point = {"B": batch, "w_w": width, "w_a": other}
                    point = {name: point[name] for name in used}
                    found = figure(**point)
                    assert found == exactly(formula, **point)
        if "w_w" in used:
            # The least and the greatest are whole, what lies between is not.
            widths = np.array([1, Fraction(3, 2), 2, 3], object)
            point = {"B": 3, "w_a": 1} | {"w_w": widths}
            found = figure(**{name: point[name] for name in used})
            point = {name: point[name] for name in used}
            assert [Fraction(f) for f in found] == [
                exactly(formula, **(point | {"w_w": width})) for width in widths
            ]

    def test_a_whole_fraction_is_an_integer(self):
        found = compiled(B * w_w)(B=[1, 2], w_w=Fraction(4, 2))
        assert found.dtype == np.int64
        assert found.tolist() == [2, 4]

    @pytest.mark.parametrize("width", [Fraction(1, 3), Fraction(33, 64), 49 * Fraction(1, 49)])
    def test_rounded_once_if_rounding_is_asked_for(self, width):
        figure = compiled(sp.floor(147 * B * w_w) + B * w_w / 7, dtype="float64")
        exact = [147 * b * width // 1 + b * width / 7 for b in (1, 2, 3)]
        found = figure(B=[1, 2, 3], w_w=width)
        assert found.tolist() == [float(value) for value in exact]
        allowed = Fraction(figure.relative_error(B=[1, 2, 3], w_w=width))
        assert 0 < allowed < 1e-14
        assert all(
            abs(Fraction(f) - e) <= allowed * e for f, e in zip(found.tolist(), exact, strict=True)
        )


class TestPowers:
    @pytest.mark.parametrize(
        "formula",
        [
            sp.Rational(1, 2) ** sp.Min(5, B - 3),
            sp.Rational(1, 2) ** sp.Min(5, w_w),
            sp.Rational(1, 2) ** sp.Min(-2, K - 5),
            2**B,
            sp.Min(3, B) ** S,
            sp.Min(3, B) ** w_w,
        ],
        ids=str,
    )
    def test_of_an_exponent_without_limits_are_refused(self, formula):
        with pytest.raises(DomainError, match="cannot be compiled"):
            compiled(formula)

    @pytest.mark.parametrize(
        "formula",
        [
            3 ** sp.Min(4, B + S),
            7 * sp.Rational(2, 3) ** sp.Min(B, 5) * S - S,
            sp.floor(64 * (1 - sp.Rational(29, 32) ** sp.Min(B, 200)) + sp.Rational(1, 2)) * S,
            sp.Integer(-2) ** sp.Min(B, 5),
            sp.Min(6, B) ** sp.Min(6, B),
            sp.Integer(0) ** sp.Min(B, 2) + B,
        ],
        ids=str,
    )
    def test_with_limits_are_tables(self, formula):
        names = [symbol.name for symbol in formula.free_symbols]
        batches = [1, 2, 4, 5, 6, 7, 199, 200, 201, 10**30]
        figure = compiled(formula)
        for batch in batches:
            point = {name: batch if name == "B" else 3 for name in names}
            assert figure(**point) == exactly(formula, **point)
        point = {"B": np.array(batches[:-1]), "S": 3}
        found = figure(**{name: point[name] for name in names})
        for batch, value in zip(batches[:-1], found.tolist(), strict=True):
            point["B"] = batch
            assert Fraction(value) == exactly(formula, **{name: point[name] for name in names})


class TestGridsOfQuotients:
    """A whole figure whose polynomial has a denominator, such as T (T - 1) / 2 of decode steps."""

    @pytest.mark.parametrize("dtype", [None, "float64"])
    def test_they_are_divided(self, dtype):
        batch, tokens = np.arange(1, 101)[:, None], np.arange(1, 201)
        for formula in (B * T * (T - 1) / 2 + B * S, sp.Max(B * T * (T + 1) / 2 - 99, B * S)):
            found = compiled(formula, dtype)(B=batch, T=tokens, S=7)
            for row, column in [(0, 0), (0, 199), (99, 0), (99, 199), (50, 120), (3, 1)]:
                expected = exactly(formula, B=row + 1, T=column + 1, S=7)
                assert found[row, column] == expected
