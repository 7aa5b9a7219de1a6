"""Reductions against plain Python over all points at once, however these are cut and merged."""

from __future__ import annotations

import math
import pickle
from bisect import bisect_right
from dataclasses import replace
from fractions import Fraction
from random import Random
from types import SimpleNamespace
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symcost.errors import InputError
from symcost.numeric.boxes import Box
from symcost.sweeps.block import Block
from symcost.sweeps.reductions import histogram, quantiles, selections
from symcost.sweeps.reductions.histogram import Bins, Histogram
from symcost.sweeps.reductions.quantiles import Quantiles
from symcost.sweeps.reductions.reduction import Count, parse_reduction
from symcost.sweeps.reductions.selections import Best, First, Pareto

LOWEST, HIGHEST = -(2**63), 2**63 - 1
MOST_PASSES = 66  # one for each bit of a value, one before and one behind
FRACTIONS = (*(Fraction(q, 8) for q in range(9)), Fraction(1, 3), Fraction(99, 100))


class Sweep(NamedTuple):
    """A sweep of which a filter has left the points of these indices, and how it is cut."""

    points: int
    indices: list[int]
    a: np.ndarray
    b: np.ndarray
    seed: int

    def blocks(self):
        """Blocks of random sizes, some of no points; without indices where all points are left."""
        random = Random(self.seed)
        cuts = sorted(random.choices(range(self.points + 1), k=random.randrange(6)))
        for start, stop in zip([0, *cuts], [*cuts, self.points], strict=True):
            here = [i for i, index in enumerate(self.indices) if start <= index < stop]
            indices = np.array([self.indices[i] for i in here], dtype=np.int64)
            whole = len(here) == stop - start and random.random() < 0.7
            yield Block(
                Box((start,), (stop,), start),
                None if whole else indices,
                {"a": self.a[here], "b": self.b[here]},
            )


def carried(thing):
    """As another process receives it."""
    return pickle.loads(pickle.dumps(thing))  # noqa: S301 - what the test itself has made


def reduced(reduction, sweep):
    """The result, by passes over blocks whose partial results are merged in a random grouping."""
    random = Random(sweep.seed)
    for _ in range(MOST_PASSES):
        reduction = carried(reduction)
        parts = []
        for block in sweep.blocks():
            given = {name: block.columns[name] for name in reduction.columns}
            parts.append(reduction.partial(Block(block.box, block.indices, given)))
        parts = carried(parts)
        while len(parts) > 1:
            at = random.randrange(len(parts) - 1)
            parts[at : at + 2] = [reduction.merge(*parts[at : at + 2])]
        further = reduction.refined(parts[0])
        if further is None:
            return reduction.result(parts[0])
        reduction = further
    raise AssertionError("a reduction does not come to an end")


whole_values = st.one_of(
    st.integers(-2, 2),
    st.integers(LOWEST, HIGHEST),
    st.sampled_from([LOWEST, LOWEST + 1, -1, 0, 2**53, 2**53 + 1, HIGHEST - 1, HIGHEST]),
)
float_values = st.one_of(
    st.sampled_from([-0.0, 0.0, 0.1, 0.2, 0.3, 1.0, 5e-324, -2.0, 2.0**53]),
    st.floats(-1e300, 1e300),
)


@st.composite
def sweeps(draw):
    points = draw(st.integers(0, 40))
    left = draw(st.one_of(st.just(range(points)), st.sets(st.integers(0, max(0, points - 1)))))
    indices = sorted(i for i in left if i < points)
    size = len(indices)
    kind, values = draw(st.sampled_from([(np.int64, whole_values), (np.float64, float_values)]))
    # Values drawn from a few make ties.
    few = draw(st.lists(values, min_size=1, max_size=8))
    some = st.one_of(st.sampled_from(few), values)
    a, b = (
        np.array(draw(st.lists(some, min_size=size, max_size=size)), dtype=kind) for _ in range(2)
    )
    return Sweep(points, indices, a, b, draw(st.integers(0, 2**32)))


def found(result):
    """Indices and values of what was found, and the types that its columns have."""
    columns = {name: column.tolist() for name, column in result.columns.items()}
    return result.indices.tolist(), columns


def check_best(sweep, count, largest):
    sign = -1 if largest else 1
    points = zip(sweep.a.tolist(), sweep.indices, strict=True)
    expected = sorted((sign * value, index) for value, index in points)[:count]
    result = reduced(Best("a", count, largest), sweep)
    assert found(result) == (
        [index for _, index in expected],
        {"a": [sign * value for value, _ in expected]},
    )
    assert (result.indices.dtype, result.columns["a"].dtype) == (np.int64, sweep.a.dtype)


def check_pareto(sweep, largest):
    signs = [-1 if large else 1 for large in largest]
    points = [
        (signs[0] * a, signs[1] * b, index)
        for a, b, index in zip(sweep.a.tolist(), sweep.b.tolist(), sweep.indices, strict=True)
    ]

    def beaten(point):
        a, b, index = point
        return any(
            x <= a and y <= b and (x < a or y < b or other < index) for x, y, other in points
        )

    front = sorted(point for point in points if not beaten(point))
    assert found(reduced(Pareto(("a", "b"), largest), sweep)) == (
        [index for _, _, index in front],
        {"a": [signs[0] * a for a, _, _ in front], "b": [signs[1] * b for _, b, _ in front]},
    )


def check_first(sweep):
    assert found(reduced(First(), sweep)) == (sweep.indices[:1], {})


def check_count(sweep):
    assert reduced(Count(), sweep) == len(sweep.indices)


def check_quantiles(sweep):
    values = sorted(sweep.a.tolist())
    ranks = {q: max(1, math.ceil(q * len(values))) for q in FRACTIONS}
    expected = {q: values[rank - 1] for q, rank in ranks.items()} if values else {}
    result = reduced(Quantiles("a", FRACTIONS), sweep)
    assert result == expected
    assert {type(value) for value in result.values()} <= {type(value) for value in values}


def check_histogram(sweep, bins):
    values = [Fraction(value) for value in sweep.a.tolist()]
    result = reduced(Histogram("a", bins), sweep)
    if not values:
        assert result == Bins((), ())
        return
    low, high = min(values), max(values)
    if low == high:
        assert result == Bins((low, low), (len(values),))
        return
    edges = [low + (high - low) * i / bins for i in range(bins + 1)]
    counts = [0] * bins
    for value in values:
        counts[min(bisect_right(edges, value), bins) - 1] += 1
    assert result == Bins(tuple(edges), tuple(counts))


@given(sweeps(), st.integers(1, 12), st.booleans())
def test_the_best_points(sweep, count, largest):
    check_best(sweep, count, largest)


@given(sweeps(), st.tuples(st.booleans(), st.booleans()), st.integers(1, 64))
def test_the_pareto_front(sweep, largest, few):
    with mock.patch.object(selections, "_FEW", few):
        check_pareto(sweep, largest)


@given(sweeps())
def test_the_first_point_and_how_many_there_are(sweep):
    check_first(sweep)
    check_count(sweep)


@given(sweeps(), st.integers(0, 50), st.integers(1, 16))
def test_quantiles(sweep, kept, bits):
    with mock.patch.multiple(quantiles, KEPT=kept, CELL_BITS=bits):
        check_quantiles(sweep)


@given(sweeps(), st.one_of(st.integers(1, 7), st.sampled_from([20, 1000])))
def test_histograms(sweep, bins):
    check_histogram(sweep, bins)


@given(
    st.lists(whole_values, min_size=2, max_size=2, unique=True)
    | st.lists(float_values, min_size=2, max_size=2, unique=True),
    st.integers(1, 100),
    st.integers(0, 2**32),
)
def test_histograms_of_values_close_to_the_edges(ends, bins, seed):
    low, high = sorted(ends)
    edges = [Fraction(low) + (Fraction(high) - Fraction(low)) * i / bins for i in range(bins + 1)]
    if isinstance(low, int):
        close = {math.floor(edge) + step for edge in edges for step in (-1, 0, 1, 2)}
    else:
        nearest = [float(edge) for edge in edges]
        close = {math.nextafter(edge, way) for edge in nearest for way in (-math.inf, math.inf)}
        close.update(nearest)
    inside = [value for value in close | {low, high} if low <= value <= high]
    check_histogram(whole(inside, seed), bins)


def whole(values, seed=0):
    """A sweep without a filter."""
    a = np.array(values)
    return Sweep(len(a), list(range(len(a))), a, a[::-1].copy(), seed)


def check_quantiles_counted(sweep):
    with mock.patch.multiple(quantiles, KEPT=0, CELL_BITS=5):
        check_quantiles(sweep)


CHECKS = {
    "smallest": lambda sweep: check_best(sweep, 1, largest=False),
    "top": lambda sweep: check_best(sweep, 4, largest=True),
    "bottom": lambda sweep: check_best(sweep, 4, largest=False),
    "pareto": lambda sweep: check_pareto(sweep, (False, True)),
    "first": check_first,
    "count": check_count,
    "quantiles": check_quantiles,
    "quantiles counted": check_quantiles_counted,
    "histogram": lambda sweep: check_histogram(sweep, 7),
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    "sweep",
    [
        whole(np.array([], dtype=np.int64)),
        whole([7]),
        whole([0.5]),
        whole([3] * 30, seed=1),
        whole([LOWEST, HIGHEST] * 9, seed=2),
        whole([HIGHEST - i for i in range(30)], seed=3),
        whole([-(10.0**i) for i in range(30)], seed=4),
        whole([5e-324, 0.0, -5e-324, 1e-323, -0.0], seed=5),
        whole([0.0, -0.0, -0.0, 1.0], seed=6),
        whole([-0.0, -1.0, 0.0, 0.0], seed=7),
    ],
    ids=[
        "none",
        "one",
        "one float",
        "equal",
        "ends",
        "high",
        "negative",
        "smallest floats",
        "lowest zeros",
        "highest zeros",
    ],
)
def test_special_columns(check, sweep):
    CHECKS[check](sweep)


def random_sweep(seed, size=200):
    """A filtered sweep with ties, most of them at the ends, on which mistakes are to be seen."""
    random = np.random.default_rng(seed)
    indices = np.flatnonzero(random.random(2 * size) < 0.5)
    a, b = random.integers(-40, 40, (2, len(indices))).clip(-20, 20)
    return Sweep(2 * size, indices.tolist(), a, b, seed)


def last_of_equal(values, largest):
    """The order in which of equal values the last one wins."""
    return (-values if largest else values) * 1000 - np.arange(len(values))


def swapped(merge):
    return lambda self, first, second: merge(self, second, first)


def dropping_the_first(_, first, second):
    return second


def dropping_the_second(_, first, second):
    return first


def as_they_are(values, largest):
    return values


def front_with_equal_points(a, b):
    order = np.lexsort((b, a))
    return order[b[order] <= np.minimum.accumulate(b[order])]


MISTAKES = {
    "best merged backwards": ("top", selections.Selection, "merge", swapped),
    "front merged backwards": ("pareto", selections.Selection, "merge", swapped),
    "first merged backwards": ("first", selections.Selection, "merge", swapped),
    "best of one part": ("smallest", selections.Selection, "merge", lambda _: dropping_the_second),
    "last of equal points": ("bottom", selections, "_minimised", lambda _: last_of_equal),
    "not reversed": ("pareto", selections, "_minimised", lambda _: as_they_are),
    "equal points": ("pareto", selections, "_front", lambda _: front_with_equal_points),
    "indices as without a filter": (
        "first",
        selections.Selection,
        "partial",
        lambda right: lambda self, block: right(self, replace(block, indices=None)),
    ),
    "count without a filter": (
        "count",
        Count,
        "partial",
        lambda _: lambda _self, block: block.box.size,
    ),
    "count of one part": ("count", Count, "merge", lambda _: dropping_the_first),
    "rank too low": ("quantiles", quantiles, "math", lambda _: SimpleNamespace(ceil=math.floor)),
    "cells of one part": (
        "quantiles counted",
        quantiles.Counting,
        "merge",
        lambda _: dropping_the_first,
    ),
    "kept of one part": ("quantiles", quantiles.Keeping, "merge", lambda _: dropping_the_first),
    "rank in the bracket before": (
        "quantiles counted",
        quantiles.Search,
        "narrowed",
        lambda right: (
            lambda self, narrow: right(self, lambda bracket, rank: (narrow(bracket, rank)[0], rank))
        ),
    ),
    "extent of one part": ("histogram", Histogram, "merge", lambda _: dropping_the_first),
    "bins that begin too late": (
        "histogram",
        histogram,
        "_first_values",
        lambda right: lambda edges, kind: right(edges, kind) + 1,
    ),
    "bins of one part": ("histogram", histogram.Binning, "merge", lambda _: dropping_the_second),
}
"""What check is to notice it, and what is replaced where by what."""


@pytest.mark.parametrize("name", CHECKS)
def test_checks_pass_without_a_mistake(name):
    for seed in range(10):
        CHECKS[name](random_sweep(seed))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(name):
    check, where, attribute, change = MISTAKES[name]
    wrong = change(getattr(where, attribute))
    noticed = 0
    for seed in range(10):
        with mock.patch.object(where, attribute, wrong):
            try:
                CHECKS[check](random_sweep(seed))
            except (AssertionError, IndexError):
                noticed += 1
    assert noticed


def test_quantiles_are_those_of_numpy():
    random = np.random.default_rng(5)
    for values in (
        np.exp(random.uniform(0, 43, 300_000)).astype(np.int64),
        random.normal(size=300_000) * 10.0 ** random.integers(-300, 300, 300_000),
    ):
        fractions = tuple(Fraction(q, 16) for q in range(17))
        expected = np.quantile(values, [float(q) for q in fractions], method="inverted_cdf")
        assert list(reduced(Quantiles("a", fractions), whole(values)).values()) == expected.tolist()


def test_quantiles_of_many_points_need_three_passes_and_little_memory():
    values = np.random.default_rng(6).integers(0, 10**15, 1_000_000)
    block = Block(Box((0,), (len(values),), 0), None, {"a": values})
    first = Quantiles("a", FRACTIONS)
    second = first.refined(first.partial(block))
    counts = second.partial(block)
    third = second.refined(counts)
    kept = third.partial(block)
    assert third.refined(kept) is None
    assert len(pickle.dumps(counts)) < 2**20 > len(pickle.dumps(kept))


@pytest.mark.parametrize("shape", ["anywhere", "close to the front", "all on it", "few values"])
@pytest.mark.parametrize("kind", [np.int64, np.float64])
def test_the_front_of_many_points(shape, kind):
    """Points are thinned out before they are sorted; which ones, must make no difference."""
    random = np.random.default_rng(7)
    size = 20_000
    a = random.permutation(size) + 1
    b = {
        "anywhere": random.permutation(size),
        "close to the front": size * size // a + random.integers(0, size, size),
        "all on it": -a,
        "few values": random.integers(0, 3, size),
    }[shape]
    a = a // 5000 if shape == "few values" else a
    a, b = a.astype(kind), b.astype(kind)
    best, expected = math.inf, []
    for x, y, index in sorted(zip(a.tolist(), b.tolist(), range(size), strict=True)):
        if y < best:
            best = y
            expected.append((index, x, y))
    indices, columns = found(reduced(Pareto(("a", "b")), Sweep(size, list(range(size)), a, b, 3)))
    assert list(zip(indices, columns["a"], columns["b"], strict=True)) == expected


def test_only_the_first_point_ends_a_sweep_early():
    block = Block(Box((4,), (6,), 4), None, {"a": np.array([1, 2]), "b": np.array([1, 2])})
    none = Block(Box((0,), (4,), 0), np.array([], dtype=np.int64), {"a": block.columns["a"][:0]})
    first = First()
    assert not first.settled(first.partial(none))
    assert first.settled(first.merge(first.partial(none), first.partial(block)))
    others = (
        Best("a"),
        Pareto(("a", "b")),
        Count(),
        Histogram("a"),
        Histogram("a").refined(Histogram("a").partial(block)),
        Quantiles("a", FRACTIONS),
    )
    assert not any(other.settled(other.partial(block)) for other in others)


def test_a_histogram_beyond_floats_is_refused():
    with pytest.raises(
        InputError, match=r"histogram of a: its values are from -1e\+308 to 1e\+308"
    ):
        reduced(Histogram("a"), whole([-1e308, 1e308]))
    with pytest.raises(InputError, match="allowed: a difference that float64 can hold"):
        reduced(Histogram("a"), whole([0.0, math.inf]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("min:prefill.flops", Best("prefill.flops")),
        ("max:vision.sam.bytes_read", Best("vision.sam.bytes_read", largest=True)),
        (
            "quantiles:a:0.5,9/10,1,0",
            Quantiles("a", (Fraction(1, 2), Fraction(9, 10), Fraction(1), Fraction(0))),
        ),
        ("quantiles:a:0.1", Quantiles("a", (Fraction(1, 10),))),
        ("histogram:a", Histogram("a", 20)),
        ("histogram:a:1000000", Histogram("a", 1_000_000)),
        ("top:a:3", Best("a", 3, largest=True)),
        ("bottom:a:3", Best("a", 3)),
        ("pareto:a,b.c", Pareto(("a", "b.c"))),
        ("pareto:-a,b", Pareto(("a", "b"), (True, False))),
        ("pareto:a,-b", Pareto(("a", "b"), (False, True))),
        ("first", First()),
        ("count", Count()),
    ],
)
def test_reductions_are_read(text, expected):
    assert parse_reduction(text) == expected


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        *(
            (text, "min:METRIC, max:METRIC, quantiles:METRIC:Q,…, ")
            for text in ("", "mean:a", "MIN:a")
        ),
        *(
            (text, "min:METRIC")
            for text in ("min", "min:", "min:a:b", "min:-a", "min:a b", "min:a,b")
        ),
        *(
            (f"quantiles:{text}", "quantiles:METRIC:Q,… with each Q from 0 to 1, such as 0.5,0.9")
            for text in ("a", "a:", "a:0.5,", "a:1.1", "a:-0.1", "a:nan", "a:1e-1", "a:1/0", ":0.5")
        ),
        *(
            (f"histogram:{text}", "histogram:METRIC[:BINS] with BINS from 1 to 1000000")
            for text in ("", "a:", "a:0", "a:-1", "a:1.5", "a:1000001", "a:20:20", "a:٣")
        ),
        *((f"top:{text}", "top:METRIC:K with K from 1 to 1000000") for text in ("a", "a:0", "a:k")),
        ("bottom:a:9999999999999", "bottom:METRIC:K with K from 1 to 1000000"),
        *(
            (f"pareto:{text}", "pareto:METRIC,METRIC of two metrics, with a - before each that is ")
            for text in ("a", "a,b,c", "a,a", "a,-a", "--a,b", "a,")
        ),
        ("first:a", "first"),
        ("count:", "count"),
        ("count\n", "min:METRIC, "),
    ],
)
def test_what_is_no_reduction_is_refused_in_one_line(text, allowed):
    with pytest.raises(InputError) as error:
        parse_reduction(text)
    message = str(error.value)
    assert message.startswith(f"reduction is {text!r}; allowed: {allowed}")
    assert "\n" not in message
