"""Quantities: every unit against decimal arithmetic of their own, and every refusal."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symcost.errors import InputError
from symcost.exact import rational, scientific
from symcost.insight.units import EXAMPLES, Dimension, Quantity, parse_as, parse_quantity

THOUSANDS = {"": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
TWOS = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
SIGNS = {
    "B": Dimension.BYTES,
    "B/s": Dimension.BYTES_PER_SECOND,
    "FLOP": Dimension.FLOPS,
    "FLOPs": Dimension.FLOPS,
    "FLOPS": Dimension.FLOPS_PER_SECOND,
    "FLOP/s": Dimension.FLOPS_PER_SECOND,
    "FLOPs/s": Dimension.FLOPS_PER_SECOND,
}
TIMES = {
    "ns": "0.000000001",
    "us": "0.000001",
    "\u00b5s": "0.000001",
    "\u03bcs": "0.000001",
    "ms": "0.001",
    "s": "1",
    "min": "60",
    "h": "3600",
}
UNITS = {
    **{
        p + s: (d, Fraction(Decimal(f"1e{n}")))
        for p, n in THOUSANDS.items()
        for s, d in SIGNS.items()
    },
    **{p + s: (SIGNS[s], Fraction(2) ** n) for p, n in TWOS.items() for s in ("B", "B/s")},
    **{sign: (Dimension.SECONDS, Fraction(Decimal(text))) for sign, text in TIMES.items()},
    "": (Dimension.NUMBER, Fraction(1)),
}

numbers = st.one_of(
    st.integers(0, 10**20 - 1).map(str),
    st.decimals(0, 10**6, places=5).map(lambda d: f"{d:f}"),
    st.tuples(st.integers(0, 9999), st.integers(-99, 99)).map(lambda t: f"{t[0]}e{t[1]}"),
    st.tuples(st.integers(0, 9999), st.integers(0, 99)).map(lambda t: f"{t[0]}E+{t[1]}"),
)


@given(
    number=numbers, unit=st.sampled_from(list(UNITS)), space=st.sampled_from(["", " ", "\u00a0"])
)
def test_quantities_are_exact(number, unit, space):
    dimension, factor = UNITS[unit]
    expected = Quantity(Fraction(Decimal(number)) * factor, dimension)
    assert parse_quantity(f"{number}{space}{unit}") == expected
    assert parse_as(f" {number}{space}{unit} ", dimension) == expected.value


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_is_read(unit):
    dimension, factor = UNITS[unit]
    found = parse_quantity(f"3/2{unit}")
    assert (found.unit, found.value) == (dimension, Fraction(3, 2) * factor)
    assert type(found.value) is Fraction


@pytest.mark.parametrize(
    ("text", "value", "dimension"),
    [
        ("80GB", 80_000_000_000, Dimension.BYTES),
        ("80GiB", 85_899_345_920, Dimension.BYTES),
        ("3.35TB/s", 3_350_000_000_000, Dimension.BYTES_PER_SECOND),
        ("3.35 TB/s", 3_350_000_000_000, Dimension.BYTES_PER_SECOND),
        ("989 TFLOPS", 989_000_000_000_000, Dimension.FLOPS_PER_SECOND),
        ("989TFLOPs/s", 989_000_000_000_000, Dimension.FLOPS_PER_SECOND),
        ("12 GFLOPs", 12_000_000_000, Dimension.FLOPS),
        ("50ms", Fraction(1, 20), Dimension.SECONDS),
        ("1.5 s", Fraction(3, 2), Dimension.SECONDS),
        ("80e9", 80_000_000_000, Dimension.NUMBER),
        ("5EB", 5 * 10**18, Dimension.BYTES),  # no power of ten without digits
        ("5e1EB", 5 * 10**19, Dimension.BYTES),
    ],
)
def test_as_people_write_them(text, value, dimension):
    assert parse_quantity(text) == Quantity(Fraction(value), dimension)


@pytest.mark.parametrize("dimension", Dimension)
def test_examples_are_of_their_kind(dimension):
    assert parse_quantity(EXAMPLES[dimension]).unit is dimension


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "GB",
        "e9",
        "1e",
        "1.2.3GB",
        "1/0 GB",
        "--5s",
        "+5s",
        "1_000 B",
        "٣ GB",
        "nan",
        "inf s",
    ],
)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(InputError, match=r"^quantity is .*; allowed:") as told:
        parse_quantity(text)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "text", ["1e9999 B", "123456789012345678901 B", "9" * 10_000, "9" * 10_000 + "s"]
)
def test_endless_numbers_are_refused_in_short(text):
    with pytest.raises(InputError) as told:
        parse_quantity(text)
    assert len(str(told.value)) < 300


@pytest.mark.parametrize(
    "unit",
    [
        "GX",
        "gb",
        "KB",
        "mB",
        "GBps",
        "GiFLOPS",
        "KiFLOPs",
        "Gs",
        "kms",
        "S",
        "sec",
        "TFLOPS/s",
        "B B",
        "e",
    ],
)
def test_unknown_units_are_refused_with_what_is_allowed(unit):
    with pytest.raises(InputError, match=r"of unknown unit .*; allowed: B, B/s, FLOPs \(work\)"):
        parse_quantity(f"5{unit}")


@pytest.mark.parametrize("unit", ["b", "Gb", "Gbps", "Gb/s", "Gbit/s", "Mbit", "kbits", "Gib"])
def test_bits_are_refused_with_a_hint(unit):
    with pytest.raises(InputError, match="in bits; write bytes: 400Gb/s are 50GB/s"):
        parse_quantity(f"400 {unit}")


def test_less_than_nothing_is_refused():
    assert parse_quantity("0 B").value == 0
    with pytest.raises(InputError, match="budget is '-5GB'; allowed: nothing below zero"):
        parse_quantity("-5GB", "budget")


@pytest.mark.parametrize("wanted", Dimension)
@pytest.mark.parametrize("given_", Dimension)
def test_another_kind_is_refused(wanted, given_):
    text = EXAMPLES[given_]
    if wanted is given_:
        assert parse_as(text, wanted) == parse_quantity(text).value
        return
    with pytest.raises(InputError) as told:
        parse_as(text, wanted, "the limit")
    expected = f"the limit is {text}, {given_}; needed: {wanted}, such as {EXAMPLES[wanted]}"
    assert str(told.value) == expected


@given(mantissa=st.decimals(-999, 999, places=3), exponent=st.integers(-999, 999))
def test_powers_of_ten_are_exact(mantissa, exponent):
    assert scientific(f"{mantissa:f}") == rational(f"{mantissa:f}") == Fraction(mantissa)
    assert scientific(f"{mantissa:f}e{exponent}") == Fraction(mantissa) * Fraction(10) ** exponent


@pytest.mark.parametrize(
    "text", ["e9", "1e", "1e2e3", "1e1000", "1 e9", "1e9 ", "1e2.5", "1e٣", "x"]
)
def test_other_powers_are_refused(text):
    with pytest.raises(ValueError):
        scientific(text)
