"""Traps: what a compiled figure must get exactly right, or refuse, one by one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from symcost.errors import DomainError, InputError, UnboundSymbolError
from symcost.exact import Evaluator
from symcost.numeric.compiled import Compiled
from symcost.symbols import CATALOGUE, B, K, S, w_a, w_w

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
    @pytest.mark.parametrize("batch", [1, 2, 3])
    def test_coefficients_at_the_least_sizes(self, formula, batch):
        assert compiled(formula)(B=batch, S=1) == exactly(formula, B=batch, S=1)
        assert compiled(formula)(B=[batch], S=1).tolist() == [exactly(formula, B=batch, S=1)]

    @pytest.mark.parametrize("number", [0, -1, 2**53 + 1, HUGE - 1, HUGE, 2**64, -HUGE, 10**30])
    def test_a_figure_without_sizes(self, number):
        assert compiled(sp.Integer(number))() == number
        assert compiled(sp.Integer(number))(B=[1, 2]).tolist() == [number, number]

    @pytest.mark.parametrize("batch", [HUGE - 1, HUGE, 2**64 - 1, 2**64, 2**65 + 1, 10**40])
    def test_a_size(self, batch):
        formula = B - sp.floor(B / 3) + sp.Min(B, S)
        assert compiled(formula)(B=batch, S=7) == exactly(formula, B=batch, S=7)
        assert compiled(formula)(B=np.array([batch]), S=7)[0] == exactly(formula, B=batch, S=7)

    @pytest.mark.parametrize("batch", [-1, -HUGE, -HUGE - 1, -(2**64), -(10**40)])
    def test_a_negative_size_is_refused(self, batch):
        with pytest.raises(DomainError, match="^B "):
            compiled(B * S)(B=batch, S=7)
