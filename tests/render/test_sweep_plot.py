"""Pictures of sweeps: what is drawn against the sweep's numbers, what is told and refused."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import xml.etree.ElementTree as ET
from functools import cache
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest

from symcost.errors import InputError
from symcost.render import sweep_plot
from symcost.render.sweep_plot import picture, plot, require_drawable, svg
from symcost.render.sweep_scales import geometric
from symcost.sweeps.axes import Axis
from symcost.sweeps.sweeping import Sweep, sweep
from symcost.sweeps.workloads import Points

FLOPS, BYTES = "prefill.flops", "prefill.resident_bytes"


@cache
def grid(where=()):
    """A real sweep."""
    axes = [Axis.parse("batch=1:256:*2"), Axis.parse("context_len=1024:8192:+128")]
    return sweep("deepseek-ocr", axes, [FLOPS, BYTES], where=where, no_image=True)


def made(*axes, metrics=(FLOPS, BYTES), amount=lambda index: 9 * 10**9 + 10**8 * index, **options):
    """A sweep with invented amounts, by flat index, which needs no model."""
    parsed = [Axis.parse(axis) if isinstance(axis, str) else axis for axis in axes]
    points = Points(parsed, **{"no_image": True, **options})
    amounts = np.array([amount(index) for index in range(points.size)], np.int64)
    plan = SimpleNamespace(points=points, where=(), metrics=metrics)
    return Sweep(plan, {metric: amounts + number for number, metric in enumerate(metrics)})


@cache
def drawn(result):
    """A picture that has been laid out, so that its ticks are those that are shown."""
    figure = plot(result)
    with sweep_plot._style():
        figure.draw_without_rendering()
    return figure


def panel(figure, title):
    (found,) = [axes for axes in figure.axes if axes.get_title(loc="left") == title]
    return found


def ticks(axis):
    low, high = axis.get_view_interval()
    shown = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
    return [label.get_text() for at, label in shown if low <= at <= high]


def legend(figure):
    """What the legend says, and how."""
    (found,) = figure.legends
    texts = [text.get_text() for text in found.get_texts()]
    return found.get_title().get_text(), dict(zip(texts, found.legend_handles, strict=True))


def notes(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def colour(artist):
    return tuple(artist.get_color())


@pytest.mark.parametrize(
    ("metric", "title"), [(FLOPS, "prefill: FLOPs"), (BYTES, "prefill: resident bytes")]
)
def test_there_is_a_line_for_each_value_with_the_sweeps_numbers(metric, title):
    result = grid()
    figure = drawn(result)
    name, entries = legend(figure)
    lines = {colour(line): line for line in panel(figure, title).get_lines()}
    assert name == "batch (sequences)"
    assert list(entries) == ["256", "128", "64", "32", "16", "8", "4", "2", "1"]
    assert len(lines) == len(panel(figure, title).get_lines()) == 9
    for place, batch in enumerate(result.coordinates["batch"].tolist()):
        line = lines[colour(entries[str(batch)])]
        assert line.get_xdata().tolist() == list(range(1024, 8193, 128))
        assert line.get_ydata().tolist() == [float(x) for x in result[metric][place].tolist()]


def test_axes_are_named_in_units_people_read():
    figure = drawn(grid())
    above, below = panel(figure, "prefill: FLOPs"), panel(figure, "prefill: resident bytes")
    assert ticks(above.yaxis) == ["1 TFLOPs", "10 TFLOPs", "100 TFLOPs", "1 PFLOPs"]
    assert ticks(below.yaxis) == ["10 GB", "100 GB", "1 TB"]
    assert (above.get_xlabel(), below.get_xlabel()) == ("", "context_len (tokens)")
    assert ticks(below.xaxis) == ["1024", "2048", "3072", "4096", "5120", "6144", "7168", "8192"]


def test_an_axis_of_factors_is_logarithmic_with_ticks_at_its_values():
    by_factors, by_steps = drawn(made("batch=1:256:*2")), drawn(made("batch=1:120"))
    at = by_factors.axes[-1]
    assert at.get_xscale() == "log"
    assert ticks(at.xaxis) == ["1", "2", "4", "8", "16", "32", "64", "128", "256"]
    assert [axes.get_xscale() for axes in by_steps.axes] == ["linear"] * 2
    assert [axes.get_yscale() for axes in by_steps.axes] == ["linear"] * 2
    assert not by_factors.legends


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([1, 2, 4, 8], True),
        ([1, 10, 50, 100, 500], True),
        ([1024, 2048, 4096], True),
        ([1024, 1152, 1280], False),
        ([1, 2, 3, 4, 5, 6], False),
        ([0, 1, 10, 100], False),
        ([1, 1000], False),
        ([7], False),
    ],
)
def test_values_are_geometric_where_factors_are_more_even_than_steps(sizes, expected):
    assert geometric(np.array(sizes)) is expected


def test_a_second_and_a_third_axis_differ_in_dashes_and_markers():
    result = made(
        "batch=1:64:*8",
        "context_len=1024:8192:+512",
        "execution=eager,fused",
        "lm_head=all,last",
    )
    figure = drawn(result)
    _, entries = legend(figure)
    assert {"batch (sequences)", "execution", "lm_head", "64", "fused", "last"} <= entries.keys()
    lines = {
        (colour(line), line.get_linestyle(), line.get_marker()): line
        for line in panel(figure, "prefill: resident bytes").get_lines()
    }
    assert len(lines) == 3 * 2 * 2
    line = lines[
        colour(entries["8"]), entries["last"].get_linestyle(), entries["fused"].get_marker()
    ]
    expected = result[BYTES][1, :, 1, 1]
    assert line.get_ydata().tolist() == expected.tolist()


def test_many_numbers_have_a_colour_bar():
    result = made("batch=1:64", "context_len=1024:8192:+128")
    figure = drawn(result)
    *_, bar = figure.axes
    assert not figure.legends
    assert bar.get_ylabel() == "context_len (tokens)"
    assert ticks(bar.yaxis) == [str(1024 * k) for k in range(1, 9)]
    lines = panel(figure, "prefill: FLOPs").get_lines()
    assert [line.get_ydata().tolist() for line in lines] == result[FLOPS].T.tolist()


def test_lines_on_top_of_each_other_are_told():
    def note(*axes, amount):
        return notes(drawn(made(*axes, metrics=(FLOPS,), amount=amount)).axes[0])

    axes = ("batch=1:4", "execution=eager,fused,ideal")
    assert note(*axes, amount=lambda index: index // 3) == ["the same for every execution"]
    assert note(*axes, amount=lambda index: max(1, index % 3)) == [
        "the same for every batch; eager = fused"
    ]
    assert note(*axes, amount=lambda index: index) == []


def test_nothing_is_drawn_at_nothing():
    axes = drawn(made("batch=1:4", metrics=(FLOPS,), amount=lambda index: 0 * index)).axes[0]
    assert notes(axes) == ["the same for every batch"]
    assert ticks(axes.yaxis) == ["0 FLOPs", "1 FLOPs"]


def test_stages_stand_side_by_side_in_reading_order():
    result = made(
        "batch=1:4",
        metrics=("decode.flops", "decode.kv_bytes", "prefill.flops", "prefill.kv_bytes"),
    )
    places = {
        axes.get_title(loc="left"): (
            axes.get_subplotspec().rowspan.start,
            axes.get_subplotspec().colspan.start,
        )
        for axes in drawn(result).axes
    }
    assert places == {
        "prefill: FLOPs": (0, 0),
        "decode: FLOPs": (0, 1),
        "prefill: KV bytes": (1, 0),
        "decode: KV bytes": (1, 1),
    }


def test_texts_alone_are_bars_with_their_amounts():
    result = made("execution=eager,fused", "width=kv=1;kv=2;kv=4")
    figure = drawn(result)
    name, entries = legend(figure)
    axes = panel(figure, "prefill: resident bytes")
    assert (name, list(entries)) == ("execution", ["eager", "fused"])
    labels = panel(figure, "prefill: FLOPs").get_yticklabels()
    assert [label.get_text() for label in labels] == ["kv=1", "kv=2", "kv=4"]
    assert [bars.datavalues.tolist() for bars in axes.containers] == result[BYTES].tolist()
    for bars, text in zip(axes.containers, ["eager", "fused"], strict=True):
        assert {bar.get_facecolor() for bar in bars} == {entries[text].get_facecolor()}
        places = [bar.get_y() + bar.get_height() / 2 for bar in bars]
        assert [round(place) for place in places] == [0, 1, 2]
    amounts = [f"{amount / 1e9:.3f} GB" for amount in result[BYTES].reshape(-1).tolist()]
    assert notes(axes) == amounts


def test_texts_that_change_together_are_a_bar_each():
    result = made("execution,lm_head=eager,all;fused,all;fused,last")
    axes = panel(drawn(result), "prefill: FLOPs")
    (bars,) = axes.containers
    labels = [label.get_text() for label in axes.get_yticklabels()]
    found = dict(zip(labels, bars.datavalues.tolist(), strict=True))
    expected = ["eager, all", "fused, all", "fused, last"]
    assert found == dict(zip(expected, result[FLOPS].tolist(), strict=True))


@pytest.mark.parametrize("axes", [(), ("batch=4",), ("batch=4", "execution=fused")])
def test_a_single_point_is_a_bar(axes):
    result = made(*axes)
    figure = drawn(result)
    (bar,) = panel(figure, "prefill: FLOPs").containers
    assert bar.datavalues.tolist() == result.columns[FLOPS].tolist()
    assert ("batch 4" in figure.get_suptitle()) is bool(axes)


def test_a_table_is_dots_coloured_by_the_next_numbers():
    table = Axis.table(
        {
            "batch": [1, 3, 3, 9, 40],
            "context_len": [2000, 1500, 4000, 1111, 1024],
            "lm_head": ["all", "last", "all", "last", "last"],
        }
    )
    result = made(table, cached=700)
    figure = drawn(result)
    _, entries = legend(figure)
    every, last = panel(figure, "prefill: FLOPs").collections
    amounts = result[FLOPS].tolist()
    assert every.get_offsets().tolist() == [[2000, amounts[0]], [4000, amounts[2]]]
    assert last.get_offsets().tolist() == [
        [x, amounts[i]] for i, x in ((1, 1500), (3, 1111), (4, 1024))
    ]
    shades = np.vstack([every.get_facecolors(), last.get_facecolors()])[:, :3]
    expected = [entries[text].get_color()[:3] for text in ("1", "3", "3", "9", "40")]
    assert np.allclose(shades, expected)
    assert figure.get_suptitle() == "cached 700, no image"


def test_rows_of_a_table_that_are_alike_are_dots():
    result = made(Axis.table({"batch": [4, 1, 4, 9]}), "cached=1:2", metrics=(FLOPS,))
    require_drawable(result.plan)
    (dots,) = panel(drawn(result), "prefill: FLOPs").collections
    sizes = [4, 4, 1, 1, 4, 4, 9, 9]
    assert dots.get_offsets().tolist() == list(
        map(list, zip(sizes, result.columns[FLOPS], strict=True))
    )


def test_points_left_by_a_filter_are_dots_and_the_filter_is_told():
    condition = f"{BYTES} <= 80e9"
    result = grid(where=(condition,))
    figure = drawn(result)
    (dots,) = panel(figure, "prefill: resident bytes").collections
    kept = grid()[BYTES].reshape(-1)
    assert dots.get_offsets()[:, 1].tolist() == kept[kept <= 80 * 10**9].tolist()
    assert figure.get_suptitle() == f"no image, where {BYTES} <= 80000000000"


def test_what_is_fixed_is_told_and_what_is_not_shown():
    names = ("batch", "context_len", "cached", "new_tokens")
    rows = [tuple(1000 + 7 * i * i + 11 * k * i for k in range(4)) for i in range(8)]
    figure = drawn(made(Axis.of(names, rows), execution="fused"))
    assert figure.get_suptitle() == (
        "execution fused, no image, cached varies unseen, new_tokens varies unseen"
    )


def test_the_picture_is_the_same_whatever_the_users_settings():
    result = grid()
    before = svg(result)
    changed = {"font.size": 20, "svg.hashsalt": "other", "svg.fonttype": "path"}
    with mpl.rc_context(changed):
        assert svg(result) == before
        assert {name: mpl.rcParams[name] for name in changed} == changed
    assert "<dc:date>" not in before
    ET.fromstring(before)  # noqa: S314
    for text in (
        "prefill: FLOPs",
        "100 TFLOPs",
        "1 TB",
        "batch (sequences)",
        "context_len (tokens)",
    ):
        assert f">{text}</text>" in before


def test_another_process_draws_the_same_without_pyplot():
    program = (
        "import hashlib, sys\n"
        "from symcost.render.sweep_plot import svg\n"
        "from symcost.sweeps.axes import Axis\n"
        "from symcost.sweeps.sweeping import sweep\n"
        "assert 'matplotlib' not in sys.modules\n"
        "axes = [Axis.parse('batch=1:256:*2'), Axis.parse('context_len=1024:8192:+128')]\n"
        "metrics = ['prefill.flops', 'prefill.resident_bytes']\n"
        "result = sweep('deepseek-ocr', axes, metrics, no_image=True)\n"
        "print(hashlib.sha256(svg(result).encode()).hexdigest())\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    here = svg(grid())
    assert found == hashlib.sha256(here.encode()).hexdigest()


def test_png_is_the_same_twice():
    result = made("batch=1:8", metrics=("decode.kv_bytes",))
    first = picture(result, ".png")
    assert first.startswith(b"\x89PNG")
    assert picture(result, ".png") == first


def test_nothing_is_clipped_and_panels_do_not_overlap():
    result = made(
        "batch=1:256:*2",
        "execution=eager,fused",
        metrics=("vision.flops", "decode.flops", "vision.kv_bytes", "decode.kv_bytes"),
    )
    figure = drawn(result)
    renderer = figure._get_renderer()
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
    boxes.append(figure.legends[0].get_window_extent(renderer))
    for number, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0
        assert box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:number])


@pytest.mark.parametrize(
    ("axes", "metrics", "told"),
    [
        (("context_len=1000:202000",), (FLOPS,), "201001 points of 1"),
        (("context_len=1000:102000",), (FLOPS, BYTES), "101001 points of 2 metrics"),
        (
            ("batch=1:20", "context_len=1000:1030", "cached=1:16"),
            (FLOPS,),
            r"320 lines along context_len apart \(20 of batch, 16 of cached\)",
        ),
        (
            ("batch=1:2", "context_len=1:30", "cached=1:2", "new_tokens=1:2", "lm_head=all,last"),
            (FLOPS,),
            "16 lines along context_len apart",
        ),
        (("batch=1:13", "context_len=1:30", "cached=1:6"), (FLOPS,), "78 lines along"),
        (
            ("batch=1:4", "image=" + ",".join(f"{side}x640" for side in range(641, 649))),
            (FLOPS,),
            r"8 lines along batch apart \(8 of image\); narrow them: .* up to 7 texts",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(axes, metrics, told):
    result = made(*axes, metrics=metrics, no_image="image" not in axes[-1])
    with pytest.raises(InputError, match=told):
        plot(result)
    with pytest.raises(InputError, match=told):
        require_drawable(result.plan)


def test_filters_may_leave_what_can_be_drawn():
    few, many = made("batch=1:20", "cached=1:16", "context_len=1000:1030").plan, grid().plan
    require_drawable(many)
    few.where = ("batch < 3",)
    require_drawable(few)
    few.points = Points([Axis.parse("batch=1:100000"), Axis.parse("cached=1:100000")])
    told = "no room for 10000000000 points of 2 metrics, before filters"
    with pytest.raises(InputError, match=told):
        require_drawable(few)


def test_more_metrics_and_bars_than_fit_are_refused(monkeypatch):
    result = made("execution=eager,fused", "width=kv=1;kv=2;kv=4")
    monkeypatch.setattr(sweep_plot, "MOST_PANELS", 1)
    with pytest.raises(InputError, match="no room for 2 metrics; allowed: 1"):
        plot(result)
    with pytest.raises(InputError, match="no room for 2 metrics; allowed: 1"):
        require_drawable(result.plan)
    monkeypatch.undo()
    monkeypatch.setattr(sweep_plot.panels, "MOST_BARS", 5)
    with pytest.raises(InputError, match=r"6 bars \(2 of execution, 3 of width\); allowed: 5"):
        plot(result)
    with pytest.raises(InputError, match="6 bars"):
        require_drawable(result.plan)


def test_points_that_are_not_there_are_refused():
    with pytest.raises(InputError, match="written or reduced"):
        plot(Sweep(grid().plan, reduced={"min:prefill.flops": None}))
    with pytest.raises(InputError, match="no point holds"):
        plot(grid(where=(f"{FLOPS} < 1",)))


def test_other_kinds_of_files_are_refused():
    with pytest.raises(InputError, match=r"'\.jpg'; allowed: \.svg, \.png"):
        picture(grid(), ".jpg")


def test_a_missing_library_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    with pytest.raises(InputError, match=r"pip install 'symcost\[sweep\]'"):
        plot(grid())
