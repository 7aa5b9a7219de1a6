"""What compiled figures refuse, and in which words: one line that names the size."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from symcost.errors import DomainError, InputError, SymcostError, UnboundSymbolError
from symcost.numeric.compiled import Compiled
from symcost.symbols import CATALOGUE, B, I_g, K, S, w_w

PAGES = Compiled({"pages": B * S + sp.floor(I_g / 192) + K}, single=True)
WIDTHS = Compiled({"bytes": B * w_w}, single=True)
FINE = {"B": 2, "S": 3, "I_g": 64, "K": 0}


def refusal(kind, figure, **sizes) -> str:
    with pytest.raises(kind) as error:
        figure(**sizes)
    text = str(error.value)
    assert isinstance(error.value, SymcostError)
    assert "\n" not in text
    return text


WRONG = {
    "B": [0, -1, True, Fraction(1, 2), 1.5, 2.0, float("nan"), "2", None, np.True_, np.float64(2)],
    "S": [0, -5, -(2**63), -(2**63) - 1, -(2**70), 10**30 + Fraction(1, 2), {}, b"1", 1j],
    "I_g": [0, -64, 63, 65, 100, 2**62 + 1, 2**63 + 1, 2**64 + 63, 64.0, np.int8(65)],
    "K": [-1, Fraction(-1, 3), np.int8(-1), False],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in WRONG.items() for v in vs])
def test_a_value_outside_its_domain(name, value):
    text = refusal((DomainError, InputError), PAGES, **FINE | {name: value})
    assert text.startswith((f"{name} (", f"{name} is given as"))
    assert refusal((DomainError, InputError), PAGES.relative_error, **FINE | {name: value}) == text


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint8, object])
@pytest.mark.parametrize("place", [0, 1, 57, 98, 99])
@pytest.mark.parametrize(("name", "wrong"), [("B", 0), ("S", -3), ("I_g", 72), ("K", -1)])
def test_one_wrong_value_anywhere_in_an_array(name, wrong, place, dtype):
    if wrong < 0 and dtype == np.uint8:
        name, wrong = "S", 0
    values = np.full((5, 20), 64, dtype)
    values.flat[place] = wrong
    views = (values, values[::-1], values.T, np.asfortranarray(values), values.tolist())
    for view in views:
        text = refusal(DomainError, PAGES, **FINE | {name: view})
        assert text.startswith(f"{name} (")
        assert f"is {wrong}" in text


@pytest.mark.parametrize(
    "wrong", [True, np.True_, 1.0, np.float32(2), Fraction(3, 2), None, "3", [1], float("inf")]
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_odd_thing_in_a_list(wrong, place):
    values = [1, 2, 3]
    values[place] = wrong
    assert refusal(DomainError, PAGES, **FINE | {"B": values}).startswith("B (")
    assert refusal(DomainError, PAGES, **FINE | {"B": tuple(values)}).startswith("B (")


@pytest.mark.parametrize("dtype", [bool, np.float16, float, complex, "U1", "M8[D]", "m8[s]"])
def test_arrays_of_another_type(dtype):
    text = refusal(InputError, PAGES, **FINE | {"B": np.ones(3).astype("i8").astype(dtype)})
    assert text.startswith("B is given as")
    assert "allowed: integers" in text


@pytest.mark.parametrize("width", [0, -1, Fraction(-1, 2), 0.5, True, [1, 0], [Fraction(1, 2), -1]])
def test_a_width_is_a_positive_rational(width):
    text = refusal((DomainError, InputError), WIDTHS, B=1, w_w=width)
    assert text.startswith(("w_w (", "w_w is given as"))


def test_an_unknown_name():
    text = refusal(InputError, PAGES, **FINE, x=3)
    assert text.startswith("x is no size; allowed: B, S,")
    assert refusal(InputError, PAGES.relative_error, **FINE, x=3) == text


@pytest.mark.parametrize("name", FINE)
@pytest.mark.parametrize("more", [{}, {"T": 3}, {"n_w": [1, 2]}])
def test_a_missing_name(name, more):
    sizes = {other: value for other, value in FINE.items() if other != name} | more
    text = refusal(UnboundSymbolError, PAGES, **sizes)
    assert text.startswith(f"{name} ({CATALOGUE[name].meaning}) has no value; give it one, a ")
    assert refusal(UnboundSymbolError, PAGES.relative_error, **sizes) == text


@pytest.mark.parametrize("wrong", [0, [1, 2, 0], np.zeros((2, 2), int), True, 1.5])
def test_a_size_that_the_figure_does_not_depend_on(wrong):
    assert refusal((DomainError, InputError), PAGES, **FINE, T=wrong).startswith("T ")


@pytest.mark.parametrize(
    ("sizes", "shapes"),
    [
        ({"B": [1, 2], "S": [1, 2, 3]}, "B (2,), S (3,)"),
        ({"B": np.ones((2, 3), int), "K": np.ones((3, 2), int)}, "B (2, 3), K (3, 2)"),
        ({"S": [1, 2], "T": [1, 2, 3]}, "S (2,), T (3,)"),
        ({"S": np.ones(0, int), "B": [1, 2]}, "B (2,), S (0,)"),
    ],
)
def test_shapes_that_do_not_broadcast(sizes, shapes):
    text = refusal(InputError, PAGES, **FINE | sizes)
    assert text == f"sizes do not broadcast; their shapes are {shapes}"
    assert refusal(InputError, PAGES.relative_error, **FINE | sizes) == text


@pytest.mark.parametrize("ragged", [[1, [2]], [[1, 2], [3]], [[], [1]]])
def test_ragged_lists(ragged):
    assert refusal(DomainError, PAGES, **FINE | {"B": ragged}).startswith("B (")


@pytest.mark.parametrize(
    ("empty", "shape"),
    [
        (np.ones(0, int), (0,)),
        ([], (0,)),
        (np.ones((3, 0), np.uint8), (3, 0)),
        (np.ones((0, 1), object), (0, 1)),
    ],
)
@pytest.mark.parametrize("dtype", [None, "float64"])
def test_nothing_has_no_figures(empty, shape, dtype):
    figure = Compiled({"pages": B * S + K}, single=True, dtype=dtype)
    found = figure(B=empty, S=3, K=2)
    assert found.shape == shape
    assert found.dtype == (np.int64 if dtype is None else np.float64)
    assert figure.relative_error(B=empty, S=3, K=2) == 0
    assert figure(B=2, S=3, K=2, T=empty).shape == shape
    assert refusal(DomainError, figure, B=empty, S=0, K=2).startswith("S (")


@pytest.mark.parametrize("dtype", ["int64", "float32", float, "object", ""])
def test_dtypes(dtype):
    text = refusal(InputError, lambda: Compiled({"pages": B}, dtype=dtype))
    assert text == f"dtype is {dtype!r}; allowed: None (exact), 'float64'"


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        (sp.sin(B), "sin"),
        (B + sp.log(S), "log"),
        (sp.Float(0.5) * B, "Float"),
        (sp.pi * B, "Pi"),
        (sp.floor(sp.exp(B)), "exp"),
        (sp.Max(B, sp.Heaviside(B - S)), "Heaviside"),
        (sp.Min(B, 1 / S), "Pow"),
        (sp.Mod(B, 3), "Mod"),
        (sp.Piecewise((B, B > 3), (S, True)), "Piecewise"),
        (sp.gcd(B, S) + sp.factorial(B), "factorial"),
        (sp.sqrt(B), "sqrt"),
        (2**B, "2\\*\\*B"),
        (sp.Symbol("B") + 1, "B"),
        (sp.Symbol("x") + 1, "x"),
        (sp.oo * B, "Infinity|oo"),
        (sp.nan, "nan|NaN"),
    ],
    ids=str,
)
def test_a_node_that_is_no_part_of_formulas(formula, name):
    with pytest.raises(DomainError, match=name):
        Compiled({"figure": formula})


def test_arrays_with_a_mask():
    masked = np.ma.array([1, 2], mask=[False, True])
    with pytest.raises(InputError, match="B is given with a mask"):
        Compiled({"f": B}, single=True)(B=masked)
