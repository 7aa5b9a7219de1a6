"""Filters: what they are read as, and masks against Python's exact comparisons."""

from __future__ import annotations

import operator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symcost.errors import InputError
from symcost.sweeps.where import Condition, Name, all_hold

COMPARE = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
}
operators = st.sampled_from(sorted(COMPARE))
near = st.sampled_from([0, 2**53, -(2**53), 2**62, 2**63, -(2**63)])
wide = st.builds(operator.add, near, st.integers(-3, 3))
integers = wide.filter(lambda value: -(2**63) <= value < 2**63)
floats = st.one_of(st.floats(allow_nan=False), integers.map(float))
fractions = st.one_of(
    st.builds(operator.add, wide, st.fractions(-2, 2, max_denominator=3)),
    st.sampled_from([Fraction(10) ** 400, -(Fraction(10) ** 400), Fraction(1, 10)]),
    st.floats(allow_nan=False, allow_infinity=False).map(Fraction),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("batch >= 4", ("batch", ">=", 4)),
        ("batch>=4", ("batch", ">=", 4)),
        ("  batch < 4  ", ("batch", "<", 4)),
        ("batch == -3", ("batch", "==", -3)),
        ("cached <= 3/2", ("cached", "<=", Fraction(3, 2))),
        ("cached <= 0.55", ("cached", "<=", Fraction(11, 20))),
        ("prefill.resident_bytes <= 80e9", ("prefill.resident_bytes", "<=", 80 * 10**9)),
        ("prefill.flops > 1.5e12", ("prefill.flops", ">", 1_500_000_000_000)),
        ("prefill.flops > 15E+2", ("prefill.flops", ">", 1500)),
        ("prefill.flops > 15e-2", ("prefill.flops", ">", Fraction(3, 20))),
        ("context_len >= image_tokens", ("context_len", ">=", Name("image_tokens"))),
        ("vision.flops < prefill.flops", ("vision.flops", "<", Name("prefill.flops"))),
        ("batch >= 1e-999", ("batch", ">=", Fraction(1, 10**999))),
        ("batch <= -3.5E+30", ("batch", "<=", -35 * 10**29)),
        ("execution == fused", ("execution", "==", "fused")),
        ("width != kv=1,weights=1/2", ("width", "!=", "kv=1,weights=1/2")),
        ("image == 800x600", ("image", "==", "800x600")),
        ("experts == 0.5", ("experts", "==", "0.5")),
    ],
)
def test_text(text, expected):
    condition = Condition.parse(text)
    assert condition == Condition(*expected)
    assert Condition.parse(str(condition)) == condition
    assert len(str(condition)) < 60


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "where is ''; allowed: NAME OP VALUE"),
        ("batch", "allowed: NAME OP VALUE with OP of <= >= == != < >"),
        ("batch >=", "NAME OP VALUE"),
        (">= 4", "NAME OP VALUE"),
        ("batch = 4", "NAME OP VALUE"),
        ("batch => 4", "NAME OP VALUE"),
        ("4 <= batch", "NAME OP VALUE"),
        ("batch < = 4", "NAME OP VALUE"),
        ("batch < 4x", "compares with '4x'; allowed: a number such as 4, 0.5 or 80e9, or a name"),
        ("batch >= 4 and cached < 3", "compares with '4 and cached < 3'"),
        ("batch >= 1 < 4", "compares with '1 < 4'"),
        ("batch >= 1_000", "compares with '1_000'"),
        ("batch >= 1/0", "compares with '1/0'"),
        ("batch >= 1e", "compares with '1e'"),
        ("batch >= 1e9999", "compares with '1e9999'"),
        ("batch >= 2*3", "compares with '2\\*3'"),
        ("batch >= ٣", "compares with"),
        ("batch >= __import__('os').getpid()", "compares with"),
        ("batch.__class__() == 3", "NAME OP VALUE"),
        ("mode < tiny", "where compares mode by <; allowed for texts: == and !="),
        ("batch == mode", "compares with 'mode'; allowed: a number"),
    ],
)
def test_text_that_is_refused(text, told):
    with pytest.raises(InputError, match=told) as error:
        Condition.parse(text)
    assert "\n" not in str(error.value)


def test_names():
    assert Condition.parse("batch < 3").names == ("batch",)
    assert Condition.parse("batch < cached").names == ("batch", "cached")
    assert Condition.parse("mode == tiny").names == ("mode",)


def check(condition, columns, expected):
    mask = condition.mask(columns)
    assert mask.dtype == np.bool_
    assert mask.tolist() == expected


@given(st.lists(integers, max_size=6), operators, fractions)
def test_integers_against_a_number(values, compared, bound):
    columns = {"batch": np.array(values, np.int64)}
    expected = [COMPARE[compared](value, bound) for value in values]
    check(Condition("batch", compared, bound), columns, expected)
    exact = {"batch": np.array(values, object)}
    check(Condition("batch", compared, bound), exact, expected)


@given(st.lists(floats, max_size=6), operators, fractions)
def test_floats_against_a_number(values, compared, bound):
    columns = {"batch": np.array(values, np.float64)}
    expected = [COMPARE[compared](value, bound) for value in values]
    check(Condition("batch", compared, bound), columns, expected)


@given(st.lists(st.tuples(integers, integers, floats), max_size=6), operators)
def test_columns_against_columns(rows, compared):
    columns = {
        "batch": np.array([row[0] for row in rows], np.int64),
        "cached": np.array([row[1] for row in rows], np.int64),
        "decode.flops": np.array([row[2] for row in rows], np.float64),
    }
    same = [COMPARE[compared](row[0], row[1]) for row in rows]
    check(Condition("batch", compared, Name("cached")), columns, same)
    mixed = [COMPARE[compared](row[0], row[2]) for row in rows]
    check(Condition("batch", compared, Name("decode.flops")), columns, mixed)


def test_rounding_would_be_seen():
    """What a comparison in floats would get wrong."""
    columns = {"batch": np.array([2**53 + 1]), "decode.flops": np.array([2.0**53])}
    assert Condition.parse(f"batch > {2**53}").mask(columns).all()
    assert Condition.parse("batch > decode.flops").mask(columns).all()
    assert not Condition.parse(f"decode.flops >= {2**53 + 1}").mask(columns).any()


def test_texts():
    columns = {"mode": np.array(["tiny", "base", "tiny"])}
    check(Condition.parse("mode == tiny"), columns, [True, False, True])
    check(Condition.parse("mode != tiny"), columns, [False, True, False])


def test_all_conditions_hold_together_and_masks_stay_small():
    columns = {
        "batch": np.arange(4).reshape(4, 1, 1),
        "cached": np.arange(5).reshape(1, 1, 5),
    }
    conditions = [Condition.parse(text) for text in ("batch >= 2", "cached != 3", "batch < 3.5")]
    mask = all_hold(conditions, columns)
    assert mask.shape == (4, 1, 5)
    assert mask[:, 0, :].tolist() == [[b >= 2 and c != 3 for c in range(5)] for b in range(4)]
    assert all_hold([], columns).all()
