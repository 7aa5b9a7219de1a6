"""Points: sizes against `Workload.from_options` of every point by itself, and what is refused."""

from __future__ import annotations

import itertools
import math
import pickle
import time

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from symcost.errors import InputError
from symcost.models.deepseek_ocr.config import published
from symcost.models.deepseek_ocr.executions import Executions
from symcost.models.deepseek_ocr.routing import Routing, touched
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import Workload
from symcost.numeric.boxes import Box, Boxes
from symcost.sweeps.axes import TEXTS, Axis
from symcost.sweeps.legality import refuse_illegal
from symcost.sweeps.parts import parts_of
from symcost.sweeps.where import Condition
from symcost.sweeps.workloads import MODEL, Points, model_options
from symcost.symbols import CATALOGUE

DECODER = published().decoder

POOLS = {
    "mode": ["tiny", "base", "gundam"],
    "image": ["1654x2339", "600x600", "2000x500", "3000x3000"],
    "base_size": [512, 640, 1024],
    "tile_size": [512, 640],
    "crop_grid": ["1x1", "2x1", "2x3", "1x2"],
    "batch": [1, 2, 3, 64],
    "prompt_tokens": [0, 1, 20, 500],
    "context_len": [72, 73, 300, 1000, 5000],
    "cached": [0, 1, 700],
    "new_tokens": [1, 2, 900],
    "reference": ["vendor", "transformers"],
    "execution": ["eager", "fused", "vision=eager,decoder=fused"],
    "lm_head": ["all", "last"],
    "width": ["kv=1", "kv=1,weights=1/2"],
    "experts": ["expected", "most", "decode=0.55"],
}
ROUTES = [("mode", "image"), ("base_size", "tile_size", "crop_grid"), ()]


@st.composite
def sweeps(draw, names=tuple(POOLS)):
    """Axes as plain Python values, and options."""
    route = draw(st.sampled_from(ROUTES))
    length = draw(st.sampled_from(["prompt_tokens", "context_len"]))
    others = ("batch", length, "cached", "new_tokens", *MODEL)
    pool = [name for name in (*route, *others) if name in names]
    chosen = draw(st.lists(st.sampled_from(pool), unique=True, max_size=5))
    axes, options = [], {}
    while chosen:
        take = draw(st.integers(1, len(chosen)))
        group, chosen = chosen[:take], chosen[take:]
        if len(group) == 1 and draw(st.booleans()):
            options[group[0]] = draw(st.sampled_from(POOLS[group[0]]))
            continue
        values = [
            draw(st.lists(st.sampled_from(POOLS[name]), min_size=1, max_size=4, unique=True))
            for name in group[:1]
        ]
        rows = len(values[0])
        values += [
            draw(st.lists(st.sampled_from(POOLS[name]), min_size=rows, max_size=rows))
            for name in group[1:]
        ]
        axes.append((tuple(group), list(zip(*values, strict=True))))
    if not route and draw(st.booleans()):
        options["no_image"] = True
    return axes, options


def points_of(axes, options):
    return Points([Axis.of(names, rows) for names, rows in axes], **options)


def every_point(axes, options):
    """What is set at each point, in flat order."""
    for rows in itertools.product(*(rows for _, rows in axes)):
        settings = [
            dict(zip(names, row, strict=True)) for (names, _), row in zip(axes, rows, strict=True)
        ]
        yield options | {name: value for one in settings for name, value in one.items()}


def workload_of(setting):
    return Workload.from_options(**{k: v for k, v in setting.items() if k not in MODEL})


def sizes_of(workload):
    symbols = ["B", "S", "K", *(["I_g", "I_t", "n_w", "n_h"] if workload.views else [])]
    sizes = {name: workload.bindings[CATALOGUE[name].symbol] for name in symbols}
    return sizes | {"T": workload.new_tokens}


def everywhere(points, most):
    """Sizes at all points in flat order, box by box."""
    parts = {}
    for box in Boxes(points.shape, most):
        for symbol, size in points.sizes(box).items():
            assert size.dtype == np.int64
            assert size.ndim == len(box.shape)
            parts.setdefault(symbol, []).append(np.broadcast_to(size, box.shape).ravel())
    return {symbol: np.concatenate(found).tolist() for symbol, found in parts.items()}


@given(sweeps(), st.integers(1, 40))
def test_every_point_has_the_sizes_of_its_own_workload(sweep, most):
    axes, options = sweep
    legal = []
    for setting in every_point(axes, options):
        try:
            legal.append(workload_of(setting))
        except InputError:
            legal.append(None)
    points = points_of(axes, options)
    if None in legal:
        with pytest.raises(InputError, match="begin context_len at"):
            refuse_illegal(points, (), DECODER)
        return
    found = everywhere(points, most)
    for number, workload in enumerate(legal):
        expected = sizes_of(workload)
        assert {symbol: values[number] for symbol, values in found.items()} == expected
        assert points.workload(number) == workload
    assert points.size == len(legal)
    for symbol, (low, high) in points.ranges.items():
        assert low <= min(found[symbol])
        assert max(found[symbol]) <= high


@given(sweeps(), st.integers(1, 40))
def test_parts_are_the_points_of_each_model(sweep, most):
    axes, options = sweep
    points = points_of(axes, options)
    settings = [
        {name: value for name, value in setting.items() if name in MODEL}
        for setting in every_point(axes, options)
    ]
    for box in Boxes(points.shape, most):
        variant = np.full(box.shape, -1)
        found = {symbol: np.zeros(box.shape, np.int64) for symbol in points.sizes(box)}
        for part in parts_of(points, box):
            assert (variant[part.index] == -1).all()
            variant[part.index] = part.variant
            for symbol, size in part.sizes.items():
                assert np.broadcast_shapes(size.shape, variant[part.index].shape) == (
                    variant[part.index].shape
                )
                found[symbol][part.index] = size
        chosen = [points.variants[number] for number in variant.ravel()]
        assert chosen == settings[box.first : box.first + box.size]
        for symbol, size in points.sizes(box).items():
            assert (found[symbol] == size).all()
    assert len(points.variants) == len({tuple(sorted(x.items())) for x in settings})


def test_parts_scattered_along_two_axes():
    rows = [Axis.parse("batch,execution=1,eager;2,fused;3,fused;4,eager"), Axis.parse("cached=5,6")]
    columns = Axis.parse("new_tokens,lm_head=1,all;2,last;3,all")
    points = Points([*rows, columns])
    (box,) = Boxes(points.shape, 100)
    batch = np.zeros(box.shape, np.int64)
    names = np.full(box.shape, "", object)
    for part in parts_of(points, box):
        batch[part.index] = part.sizes["B"] * 10 + part.sizes["T"]
        names[part.index] = " ".join(points.variants[part.variant].values())
    executions, heads = ("eager", "fused", "fused", "eager"), ("all", "last", "all")
    for b, k, t in itertools.product(range(4), range(2), range(3)):
        assert batch[b, k, t] == 10 * (b + 1) + t + 1
        assert names[b, k, t] == f"{executions[b]} {heads[t]}"


@given(sweeps())
def test_coordinates(sweep):
    axes, options = sweep
    points = points_of(axes, {}) if "no_image" in options else points_of(axes, options)
    found = points.coordinates(np.arange(points.size))
    swept = [name for names, _ in axes for name in names]
    assert list(found) == swept
    for number, setting in enumerate(every_point(axes, {})):
        assert {name: values[number] for name, values in found.items()} == setting


def test_sizes_stay_as_small_as_what_they_depend_on():
    points = Points(
        {
            "batch": range(1, 1001),
            "prompt_tokens": range(1000),
            "mode": ["tiny", "gundam"],
            "image": ["800x600", "600x600", "2000x500"],
            "cached": range(0, 10**6, 1000),
        }
    )
    box = Box((0,) * 5, points.shape, 0)
    assert {symbol: size.shape for symbol, size in points.sizes(box).items()} == {
        "B": (1000, 1, 1, 1, 1),
        "S": (1, 1000, 2, 3, 1),
        "K": (1, 1, 1, 1, 1000),
        "T": (1, 1, 1, 1, 1),
        "I_g": (1, 1, 2, 1, 1),
        "I_t": (1, 1, 1, 1, 1),
        "n_w": (1, 1, 2, 3, 1),
        "n_h": (1, 1, 2, 3, 1),
    }


def test_the_remedy_names_the_tokens_of_an_image_that_there_is():
    """Large has the larger global view, Gundam the crops."""
    points = Points({"mode": ["large", "gundam"], "context_len": [400]})
    with pytest.raises(InputError, match="begin context_len at 903,"):
        refuse(points)


def test_a_sweep_of_no_axes_is_a_point():
    points = Points({}, batch=3, mode="tiny")
    (box,) = Boxes(points.shape, 1)
    assert {symbol: size.item() for symbol, size in points.sizes(box).items()} == sizes_of(
        Workload.from_options(batch=3, mode="tiny")
    )
    assert points.workload(0) == Workload.from_options(batch=3, mode="tiny")


def test_an_option_that_is_none_is_not_given():
    points = Points({"batch": [1]}, mode=None, context_len=None, no_image=False)
    assert points.workload(0) == Workload.from_options()
    assert points.variants == [{}]


def test_what_a_variant_loads():
    points = Points({"width": ["kv=1"], "execution": ["fused"]}, experts="most", lm_head="last")
    (variant,) = points.variants
    assert model_options(variant) == {
        "execution": Executions.parse("fused"),
        "lm_head": "last",
        "widths": Widths.parse("kv=1"),
        "routing": Routing.parse("most"),
    }


def test_points_travel_between_processes():
    points = Points([Axis.parse("batch,mode,width=1,tiny,kv=1;2,base,kv=2")], cached=5)
    other = pickle.loads(pickle.dumps(points))  # noqa: S301
    assert everywhere(other, 2) == everywhere(points, 2)
    assert other.variants == points.variants


@pytest.mark.parametrize(
    ("axes", "options", "told"),
    [
        ({"batch": [0, 1]}, {}, "batch is 0; allowed: an integer of at least 1"),
        ({"batch": [3, -2, 1]}, {}, "batch is -2; allowed"),
        ({"cached": [5, -1]}, {}, "cached is -1; allowed: an integer of at least 0"),
        ({"prompt_tokens": [-1]}, {}, "prompt-tokens is -1; allowed"),
        ({"new_tokens": [0]}, {}, "new-tokens is 0; allowed"),
        ({"context_len": [0]}, {"no_image": True}, "context-len is 0; allowed"),
        ({"base_size": [1024, 100]}, {}, "base-size is 100; allowed: a positive multiple of 64"),
        ({"tile_size": [640, 96]}, {}, "tile-size is 96; allowed"),
        ({"crop_grid": ["2x2", "4x5"]}, {}, "crop-grid is 4x5; allowed: columns x rows of 2 to 9"),
        ({"crop_grid": ["2x2", "2by2"]}, {}, "crop-grid is '2by2'; allowed"),
        ({"mode": ["tiny", "gundm"]}, {}, "mode is 'gundm'; allowed: tiny, small"),
        ({"image": ["800x600", "0x5"]}, {"mode": "tiny"}, "image is '0x5'"),
        ({"image": ["800x600", "nothing.png"]}, {}, "image is 'nothing.png'"),
        ({"execution": ["eager", "fast"]}, {}, "execution is 'fast'; allowed: eager"),
        ({"execution": ["eager"]}, {"width": "kw=2"}, "width is 'kw=2'; allowed"),
        ({"reference": ["vendr"]}, {}, "reference is 'vendr'; allowed: vendor"),
        ({"experts": ["expected", "2"]}, {}, "experts is '2'; allowed"),
        ({"mode": ["tiny"]}, {"no_image": True}, "--no-image excludes --mode"),
        ({"base_size": [640]}, {"no_image": True}, "--no-image excludes --base-size"),
        ({"mode": ["tiny"], "base_size": [640]}, {}, "--mode excludes --base-size"),
        ({"crop_grid": ["2x2"]}, {"image": "800x600"}, "--image excludes --crop-grid"),
        ({"prompt_tokens": [1]}, {"context_len": 900}, "--prompt-tokens excludes --context-len"),
        ({"batch": [1]}, {"batch": 2}, "batch is given as an axis and as an option; give one"),
        ({"batch": [1]}, {"modes": "tiny"}, "option 'modes' is unknown; allowed: mode, image"),
        ({"batch": [1]}, {"cached": 1.5}, "cached holds 1.5; allowed: integers"),
        ({"batch": [1]}, {"mode": 5}, "mode holds 5; allowed: texts"),
        ({"base_size": [2**62]}, {}, "image_tokens reaches .*; allowed: below 2\\^63"),
        ({"prompt_tokens": [2**63 - 1]}, {}, "context_len reaches .*; allowed: below 2\\^63"),
    ],
)
def test_values_that_are_illegal_everywhere(axes, options, told):
    with pytest.raises(InputError, match=told) as error:
        Points(axes, **options)
    assert "\n" not in str(error.value)


def refuse(points, *conditions):
    early, late = points.split([Condition.parse(text) for text in conditions])
    assert not late
    refuse_illegal(points, early, DECODER)


def test_a_context_shorter_than_its_image():
    points = Points({"context_len": range(50, 500, 50), "mode": ["tiny", "base"]})
    with pytest.raises(InputError) as error:
        refuse(points)
    assert str(error.value) == (
        "at context_len=50, mode=tiny: context-len is 50; allowed: at least the image's 73 tokens; "
        "begin context_len at 273, sweep prompt_tokens instead, give no_image, or leave such "
        "points out with --where 'context_len >= image_tokens'"
    )
    with pytest.raises(InputError, match=r"at context_len=100, mode=base: .*image's 273 tokens"):
        refuse(points, "context_len >= 100")
    refuse(points, "context_len >= image_tokens")
    refuse(points, "context_len >= 273")
    refuse(points, "mode == tiny", "context_len != 50")
    refuse(Points({"context_len": range(50, 500, 50)}, no_image=True))
    refuse(Points({"mode": ["tiny", "base"]}, context_len=273))
    with pytest.raises(InputError, match="at mode=base: context-len is 272"):
        refuse(Points({"mode": ["tiny", "base"]}, context_len=272))
    for axes in ({}, {"batch": [1, 2]}):
        with pytest.raises(InputError, match=r"^context-len is 72; .*; begin context_len at 73"):
            refuse(Points(axes, context_len=72, mode="tiny"))


def test_the_only_short_context_of_many_is_found():
    with pytest.raises(InputError, match="at context_len=100, mode=base"):
        refuse(Points([Axis.parse("context_len,mode=273,base;100,base")]))
    lengths = np.full(2**21 + 5, 273)
    lengths[-2] = 272
    table = Axis.table({"context_len": lengths, "batch": np.arange(1, len(lengths) + 1)})
    with pytest.raises(InputError, match="at context_len=272: context-len is 272"):
        refuse(Points([table], mode="base"))
    refuse(Points([table], mode="base"), f"batch != {2**21 + 4}")


@given(
    sweeps(names=("mode", "image", "base_size", "crop_grid", "context_len", "batch", "cached")),
    st.sampled_from(["batch >= 2", "context_len > 100", "cached <= context_len", "crops == 0"]),
)
def test_points_that_a_filter_leaves_out_may_be_illegal(sweep, text):
    axes, options = sweep
    names = {"context_len", "batch", "cached"} & {
        *options,
        *(n for names, _ in axes for n in names),
    }
    assume(names >= {"context_len"})
    left = illegal = 0
    for setting in every_point(axes, options):
        seen = workload_of({k: v for k, v in setting.items() if k != "context_len"}).as_dict()
        tokens = setting["context_len"]
        held = {
            "batch >= 2": seen["batch"] >= 2,
            "context_len > 100": tokens > 100,
            "cached <= context_len": setting.get("cached", tokens) <= tokens,
            "crops == 0": seen["crops"] == 0,
        }[text]
        left += held
        illegal += held and tokens < seen["image_tokens"]
    points = points_of(axes, options)
    condition = [Condition.parse(text)]
    whole = Box((0,) * len(axes), points.shape, 0)
    assert np.broadcast_to(points.held(condition, whole), points.shape).sum() == left
    if illegal:
        with pytest.raises(InputError, match="begin context_len at"):
            refuse(points, text)
    else:
        refuse(points, text)


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True),
    st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True),
    st.sampled_from(["0.55", "1", "0.25", "prefill=0.6", "decode=0.7", "most", "decode=0.05"]),
    st.sampled_from([(), ("batch >= 6",), ("batch >= 11", "context_len > 1")]),
)
def test_fractions_of_experts_that_tokens_cannot_choose(batches, contexts, experts, conditions):
    routing = Routing.parse(experts)
    least = {"batch >= 6": ("batch", 6), "batch >= 11": ("batch", 11), "context_len > 1": ("S", 2)}

    def illegal(batch, tokens):
        try:
            touched(routing.prefill, batch * tokens, DECODER)
            touched(routing.decode, batch, DECODER)
        except InputError:
            return True
        return False

    refused = False
    for batch, tokens in itertools.product(batches, contexts):
        held = all({"batch": batch, "S": tokens}[n] >= m for n, m in map(least.get, conditions))
        refused |= held and illegal(batch, tokens)
    axes = {"batch": batches, "context_len": contexts, "experts": ["expected", experts]}
    points = Points(axes, no_image=True)
    if refused or experts == "decode=0.05":
        with pytest.raises(InputError, match=r"experts is .*; allowed for"):
            refuse(points, *conditions)
    else:
        refuse(points, *conditions)


def test_the_remedy_for_too_few_tokens():
    points = Points({"batch": [1, 2, 4, 8]}, experts="decode=0.55")
    with pytest.raises(InputError, match=r"for 1 tokens in a call.*with --where 'batch >= 6'"):
        refuse(points)
    refuse(points, "batch >= 6")
    zipped = Points([Axis.parse("batch,experts=1,expected;8,decode=0.55")])
    refuse(zipped)


def test_conditions_on_metrics_come_later():
    points = Points({"batch": [1, 2], "execution": ["eager", "fused"]})
    texts = ["batch > 1", "prefill.flops < 3e9", "execution == eager", "batch < decode.flops"]
    early, late = points.split(map(Condition.parse, texts))
    assert [str(condition) for condition in early] == ["batch > 1", "execution == eager"]
    assert [str(condition) for condition in late] == [
        "prefill.flops < 3000000000",
        "batch < decode.flops",
    ]
    for text, told in (
        ("bach > 1", "where names 'bach'; allowed: base_size, batch, .*metrics such as"),
        ("batch > S", "where names 'S'"),
        ("mode == tiny", "where names 'mode'"),
        ("execution == fsed", "where compares execution with 'fsed'; its values: eager, fused"),
    ):
        with pytest.raises(InputError, match=told):
            points.split([Condition.parse(text)])
    assert set(points.names) == {
        *("base_size", "batch", "cached", "context_len", "crops", "execution", "image_tokens"),
        *("new_tokens", "prompt_tokens", "tile_size"),
    }


def test_many_rows_of_few_pages_take_little_time():
    rows = 200_000
    random = np.random.default_rng(1)
    images = [f"{width}x{height}" for width in range(300, 2100, 200) for height in (400, 900)]
    table = {
        "batch": random.integers(1, 100, rows),
        "context_len": random.integers(1500, 9000, rows),
        "mode": [POOLS["mode"][n] for n in random.integers(0, 3, rows)],
        "image": [images[n] for n in random.integers(0, len(images), rows)],
    }
    start = time.process_time()
    points = Points([Axis.table(table)])
    refuse_illegal(points, (), DECODER)
    assert time.process_time() - start < 2
    for index in (0, rows // 2, rows - 1):
        setting = {name: column[index] for name, column in table.items()}
        assert points.workload(index) == Workload.from_options(**setting)


def test_texts_are_those_of_pages_and_models():
    assert set(TEXTS) == {*MODEL, "mode", "image", "crop_grid"}
    assert math.prod(Points({}).shape) == 1
