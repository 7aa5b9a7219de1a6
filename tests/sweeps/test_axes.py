"""Axes: what text and Python values are read as, and what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symcost.errors import InputError
from symcost.execution import Execution
from symcost.sweeps.axes import NUMBERS, TEXTS, Axis, axes_of


def values(axis):
    return {name: column.at(slice(None)).tolist() for name, column in axis.columns.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("batch=4", [4]),
        ("batch=1,2,4,8", [1, 2, 4, 8]),
        ("batch=1:8", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("batch=3:3", [3]),
        ("batch=1:256:*2", [1, 2, 4, 8, 16, 32, 64, 128, 256]),
        ("batch=1:255:*2", [1, 2, 4, 8, 16, 32, 64, 128]),
        ("batch=5:90:*3", [5, 15, 45]),
        ("cached=0:10:+5", [0, 5, 10]),
        ("cached=0:9:+5", [0, 5]),
        ("context_len=128:8192:+128", [128 * n for n in range(1, 65)]),
        ("batch=-1", [-1]),
        ("batch=1;2", [1, 2]),
        ("execution=eager,fused", ["eager", "fused"]),
        ("execution=vision=eager,decoder=fused;ideal", ["vision=eager,decoder=fused", "ideal"]),
        ("execution=vision=eager,decoder=fused", ["vision=eager,decoder=fused"]),
        ("image=1654x2339,800x600", ["1654x2339", "800x600"]),
        ("width=kv=2;kv=1,weights=1/2", ["kv=2", "kv=1,weights=1/2"]),
        ("experts=expected,most,0.5", ["expected", "most", "0.5"]),
        ("experts=prefill=1,decode=0.55", ["prefill=1,decode=0.55"]),
    ],
)
def test_one_name_as_text(text, expected):
    axis = Axis.parse(text)
    assert values(axis) == {text.partition("=")[0]: expected}
    assert len(axis) == len(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "batch,context_len=1,1000;2,2000;4,4000",
            {"batch": [1, 2, 4], "context_len": [1000, 2000, 4000]},
        ),
        ("batch,mode=1,tiny;1,base", {"batch": [1, 1], "mode": ["tiny", "base"]}),
        (
            "batch,width=1,kv=1,weights=1/2;2,kv=2",
            {"batch": [1, 2], "width": ["kv=1,weights=1/2", "kv=2"]},
        ),
    ],
)
def test_several_names_as_text(text, expected):
    axis = Axis.parse(text)
    assert values(axis) == expected
    assert axis.names == tuple(expected)
    assert axis.name == text.partition("=")[0]


@given(st.integers(-50, 50), st.integers(0, 200), st.integers(1, 40))
def test_ranges_of_sums(first, more, step):
    last = first + more
    expected = [value for value in range(first, last + 1) if (value - first) % step == 0]
    assert values(Axis.parse(f"cached={first}:{last}:+{step}")) == {"cached": expected}


@given(st.integers(1, 50), st.integers(0, 5000), st.integers(2, 9))
def test_ranges_of_products(first, more, factor):
    last = first + more
    powers = [first * factor**n for n in range(40)]
    expected = [value for value in powers if value <= last]
    assert values(Axis.parse(f"batch={first}:{last}:*{factor}")) == {"batch": expected}


def test_values_in_python():
    for given_values in ([1, 2, 5], (1, 2, 5), np.array([1, 2, 5]), np.array([1, 2, 5], np.uint8)):
        assert values(Axis.of("batch", given_values)) == {"batch": [1, 2, 5]}
    assert values(Axis.of("batch", range(1, 9, 3))) == {"batch": [1, 4, 7]}
    assert values(Axis.of("batch", [np.int32(3), 4])) == {"batch": [3, 4]}
    assert values(Axis.of("execution", [Execution.EAGER])) == {"execution": ["eager"]}
    assert values(Axis.of("mode", np.array(["tiny", "base"]))) == {"mode": ["tiny", "base"]}
    zipped = Axis.of(("batch", "mode"), [(1, "tiny"), (1, "base")])
    assert values(zipped) == {"batch": [1, 1], "mode": ["tiny", "base"]}
    pairs = Axis.of(("batch", "cached"), np.array([[1, 5], [2, 6], [3, 7]]))
    assert values(pairs) == {"batch": [1, 2, 3], "cached": [5, 6, 7]}
    table = Axis.table({"batch": np.array([2, 2]), "mode": ["tiny", "tiny"]})
    assert values(table) == {"batch": [2, 2], "mode": ["tiny", "tiny"]}
    assert values(Axis.table({"batch": [3, 1, 3]})) == {"batch": [3, 1, 3]}


def test_a_series_of_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"batch": [1, 2], "mode": ["tiny", "base"]})
    table = Axis.table({name: frame[name] for name in frame})
    assert values(table) == {"batch": [1, 2], "mode": ["tiny", "base"]}


def test_integers_are_kept_as_arrays():
    column = Axis.of("batch", range(10**6)).columns["batch"]
    assert (column.numbers.dtype, column.numbers.nbytes) == (np.int64, 8 * 10**6)
    texts = Axis.of(("mode", "batch"), [("tiny", n) for n in range(1000)]).columns["mode"]
    assert texts.texts.tolist() == ["tiny"]
    assert not texts.numbers.any()


def test_axes_by_name():
    axes = axes_of({"batch": [1, 2], ("cached", "mode"): [(0, "tiny")]})
    assert [axis.names for axis in axes] == [("batch",), ("cached", "mode")]
    assert axes_of(axes) == axes
    assert axes_of({}) == ()


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", "c"]), st.integers(0, 2)),
        min_size=1,
        max_size=30,
    ),
    st.sets(st.sampled_from(["batch", "mode", "cached"]), min_size=1),
)
def test_distinct_settings(rows, names):
    axis = Axis.of(("batch", "mode", "cached"), rows)
    settings, places = axis.distinct(sorted(names))
    every = [dict(zip(("batch", "mode", "cached"), row, strict=True)) for row in rows]
    wanted = [{name: row[name] for name in names} for row in every]
    assert [settings[place] for place in places] == wanted
    assert len(settings) == len({tuple(sorted(setting.items())) for setting in wanted})


def test_an_axis_travels_between_processes():
    axis = Axis.parse("batch,mode=1,tiny;2,base")
    assert values(pickle.loads(pickle.dumps(axis))) == values(axis)  # noqa: S301


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("batch", "'batch' has no values; allowed: NAME=VALUES"),
        ("=1", "axis '' is unknown; allowed: batch, "),
        ("bach=1", "axis 'bach' is unknown; allowed: batch, context_len, .*experts"),
        ("batch,bach=1,2", "axis 'bach' is unknown"),
        ("batch=", "batch holds ''; allowed: integers"),
        ("batch=1.5", "batch holds '1.5'; allowed: integers"),
        ("batch=1e3", "batch holds '1e3'; allowed: integers"),
        ("batch=1_000", "batch holds '1_000'"),
        ("batch=٣", "batch holds '٣'"),
        ("batch=1,,2", "batch holds ''"),
        ("batch= 1", "batch holds ' 1'"),
        ("batch=true", "batch holds 'true'"),
        ("batch=1000000000000000000000", "up to 18 digits"),
        ("batch=1:", "batch is '1:'; allowed: FIRST:LAST"),
        ("batch=1:8:2", "batch is '1:8:2'; allowed: FIRST:LAST"),
        ("batch=1:8:+", "allowed: FIRST:LAST"),
        ("batch=1:8:*-2", "allowed: FIRST:LAST"),
        ("batch=1:4,8", "allowed: FIRST:LAST"),
        ("batch=8:1", "'8:1'; allowed: a last value that is not below the first"),
        ("batch=1:8:+0", "a step of at least 1"),
        ("batch=1:8:*1", "a factor of at least 2"),
        ("batch=1:8:*0", "a factor of at least 2"),
        ("batch=0:8:*2", "behind a positive first value"),
        ("batch=-4:8:*2", "behind a positive first value"),
        ("batch=1:100000001", "batch has 100000001 values; allowed: at most 100000000"),
        ("batch=0:999999999999999999", "allowed: at most 100000000"),
        ("batch=1,2,1", "batch has 1 more than once; allowed: different values"),
        ("mode=tiny,base,tiny", "mode has 'tiny' more than once"),
        ("batch,cached=1,2;3", "batch,cached is '1,2;3'; allowed: 2 values at each position"),
        ("batch,cached=1,2,3", "cached holds '2,3'; allowed: integers"),
        ("batch,batch=1,2", "a name twice in batch, batch"),
    ],
)
def test_text_that_is_refused(text, told):
    with pytest.raises(InputError, match=told) as error:
        Axis.parse(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("names", "given_values", "told"),
    [
        ("exec", ["eager"], "axis 'exec' is unknown"),
        (3, [1], "axis 3 is unknown"),
        ("batch", [], "axis batch has no values"),
        ("batch", [1, 2.0], "batch holds 2.0; allowed: integers"),
        ("batch", [1, True], "batch holds True; allowed: integers"),
        ("batch", ["1"], "batch holds '1'; allowed: integers"),
        ("batch", np.array(["1"]), "batch holds '1'; allowed: integers"),
        ("batch", np.array([1.0]), "batch holds 1.0; allowed: integers"),
        ("batch", np.array([True]), "batch holds True; allowed: integers"),
        ("mode", np.array([1]), "mode holds 1; allowed: texts"),
        (np.str_("exec"), [1], "axis 'exec' is unknown"),
        ("batch", np.array([[1, 2]]), "allowed: a sequence of values"),
        ("batch", np.array(4), "allowed: a sequence of values"),
        ("batch", 4, "batch is 4; allowed: a sequence of values"),
        ("batch", iter([1]), "allowed: a sequence of values"),
        ("batch", "12", "batch is '12'; allowed: a sequence of values"),
        ("batch", {1, 2}, "allowed: a sequence of values"),
        ("batch", [2**63], "batch goes beyond int64; allowed: integers below 2\\^63"),
        ("batch", np.array([2**63], np.uint64), "goes beyond int64"),
        ("batch", range(2**63, 2**63 + 5), "goes beyond int64"),
        ("batch", range(10**8 + 1), "allowed: at most 100000000"),
        ("mode", "tiny", "mode is 'tiny'; allowed: a sequence of values"),
        ("mode", ["tiny", 3], "mode holds 3; allowed: texts"),
        ("image", [(800, 600)], r"image holds \(800, 600\); allowed: texts"),
        (("batch", "cached"), [(1, 2), (3,)], "batch,cached has other values; allowed: 2 at each"),
        (("batch", "cached"), [1, 2], "allowed: 2 at each"),
        (("batch", "cached"), np.ones((2, 3), int), "allowed: 2 at each"),
        (("batch", "cached"), zip([1], [2], strict=True), "allowed: a sequence of values"),
        (("batch", "batch"), [(1, 2)], "a name twice"),
    ],
)
def test_values_that_are_refused(names, given_values, told):
    with pytest.raises(InputError, match=told) as error:
        Axis.of(names, given_values)
    assert "\n" not in str(error.value)


def test_what_else_is_refused():
    with pytest.raises(InputError, match=r"values of 2 of batch, 1 of cached; allowed: equally"):
        Axis.table({"batch": [1, 2], "cached": [1]})
    with pytest.raises(InputError, match="no name"):
        Axis.table({})
    with pytest.raises(InputError, match="batch is set by two axes; allowed: each name once"):
        axes_of([Axis.of("batch", [1]), Axis.of(("cached", "batch"), [(1, 2)])])
    for given_axes in ("batch=1,2", ["batch=1,2"], [Axis.parse("batch=1"), "cached=1"]):
        with pytest.raises(InputError, match=r"axes are .*batch.*; allowed: .*Axis\.parse"):
            axes_of(given_axes)


def test_names_are_of_one_kind():
    assert not set(NUMBERS) & set(TEXTS)
