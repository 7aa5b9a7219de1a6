"""Plots of a workload: what is drawn against costs from elsewhere, and what can be read."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from functools import cache

import pytest

from symcost.errors import InputError
from symcost.execution import Execution
from symcost.insight.devices import device_named
from symcost.insight.subject import Subject
from symcost.models import load
from symcost.models.deepseek_ocr.workload import Workload, stage_costs
from symcost.render.plots import Kind, drawing
from symcost.render.plots.asked import Asked, drawable
from symcost.render.plots.drawing import picture, plot, plots_of_page
from symcost.render.plots.style import PARTS, styled

DEVICE = device_named("A100-40GB")
NEW = 1000


def asked(execution=Execution.FUSED, **sizes):
    def subject(opened, other):
        return Subject.of("deepseek-ocr", opened, execution=other or execution, **sizes)

    workload = Workload.from_options(new_tokens=NEW, **sizes)
    return Asked("what runs", workload, subject)


@cache
def drawn(kind, **sizes):
    """A plot that has been laid out, as it is shown."""
    figure = plot(asked(**sizes), kind, DEVICE)
    with styled():
        figure.draw_without_rendering()
    return figure


PAGE = Workload.from_options(new_tokens=NEW)


@cache
def costs(execution=Execution.FUSED, workload=PAGE):
    """Costs in numbers from the start, which no plot computes."""

    def build(views):
        return load("deepseek-ocr", views=views, execution=execution, lm_head="last")

    return stage_costs(build, workload)


def parts_of(stage):
    return {**stage.parts.get("vision", stage).parts, **stage.parts} if stage.parts else {}


def bars(row, column):
    """The ends of stacked bars of a breakdown by label, which stands in the first column."""
    panels = drawn(Kind.BREAKDOWN).axes[2 * row : 2 * row + 2]
    labels = [label.get_text() for label in panels[0].get_yticklabels()]
    ends = {}
    for patch in panels[column].patches:
        label = labels[round(patch.get_y() + patch.get_height() / 2)]
        ends[label] = max(ends.get(label, 0), patch.get_x() + patch.get_width())
    return ends


def panel(figure, start):
    (found,) = [axes for axes in figure.axes if axes.get_title(loc="left").startswith(start)]
    return found


@pytest.mark.parametrize(("column", "metric"), [(0, "flops"), (1, "bytes_moved")])
@pytest.mark.parametrize(("row", "stage"), [(0, "prefill"), (1, "decode")])
def test_breakdown_has_what_the_stages_cost(row, stage, column, metric):
    axes = drawn(Kind.BREAKDOWN).axes[2 * row + column]
    found, whole = bars(row, column), costs()[stage]
    split = {label: found.pop(label) for label in list(found) if label.startswith("decoder")}
    assert len(split) == 3
    assert sum(split.values()) == pytest.approx(float(getattr(whole.parts["decoder"], metric)))
    parts = parts_of(whole)
    assert found == {
        name: pytest.approx(float(getattr(parts[name], metric)))
        for name in ("sam", "clip", "projector", "lm_head")
        if name in found
    }
    assert set(found) == ({"sam", "clip", "projector", "lm_head"} & parts.keys())
    shares = [text.get_text().rpartition(", ")[2] for text in axes.texts]
    told = [0 if share.startswith("<") else float(share.removesuffix(" %")) for share in shares]
    assert sum(told) == pytest.approx(100, abs=0.5)


def test_the_decoder_is_split_as_a_textbook_has_it():
    """Scores and mix of 12 layers; 6 experts of 3 matrices in 11: multiplied and added by hand."""
    prefill, _, decode, _ = drawn(Kind.BREAKDOWN).axes

    def matrix(axes, label):
        labels = [text.get_text() for text in axes.get_yticklabels()]
        return axes.containers[0].patches[labels.index(label)].get_width()

    assert matrix(prefill, "decoder: attention") == 2 * 2 * 924**2 * 1280 * 12
    assert matrix(prefill, "decoder: experts") == 2 * 924 * 6 * 3 * 1280 * 896 * 11
    assert matrix(decode, "decoder: experts") == 2 * NEW * 6 * 3 * 1280 * 896 * 11


def test_executions_have_the_bytes_of_each():
    figure = drawn(Kind.EXECUTIONS)
    for start, stage in (("prefill", "prefill"), ("decode", "decode")):
        axes = panel(figure, start)
        labels = [label.get_text() for label in axes.get_yticklabels()]
        for execution, bar in zip(Execution, axes.containers, strict=True):
            parts = parts_of(costs(execution)[stage])
            widths = [patch.get_width() for patch in bar.patches]
            assert widths == [float(parts[label].bytes_moved) for label in labels]
    for execution, bar in zip(Execution, panel(figure, "most bytes").containers, strict=True):
        held = [costs(execution)[stage].activation_bytes for stage in ("prefill", "decode")]
        assert [patch.get_width() for patch in bar.patches] == held


def test_growth_is_that_of_other_workloads():
    figure = drawn(Kind.GROWTH)
    at = {
        0: (16, replace(PAGE, batch=16)),
        1: (4096, replace(PAGE, context_len=4096, cached=4096)),
        2: (9, Workload.from_options(crop_grid="1x9", new_tokens=NEW)),
        3: (640, Workload.from_options(base_size=640, crop_grid="2x3", new_tokens=NEW)),
    }
    for column, (x, other) in at.items():
        for row, metric in enumerate(("flops", "bytes_moved", "resident_bytes")):
            _, *lines = figure.axes[4 * row + column].lines
            for stage, line in zip(("vision", "prefill", "decode"), lines, strict=True):
                found = dict(zip(*map(list, line.get_data()), strict=True))
                wanted = getattr(costs(workload=other)[stage], metric)
                assert found[x] == pytest.approx(float(wanted), rel=1e-12)
    own = [axes.lines[0].get_xdata()[0] for axes in figure.axes[:4]]
    assert own == [1, 924, 6, 1024]


def test_shares_fill_the_panel_and_are_those_of_the_breakdown():
    figure = drawn(Kind.SHARES)
    for row, kind in enumerate(("FLOPs", "bytes")):
        for column, stage in enumerate(("prefill", "prefill", "decode", "decode")):
            axes = figure.axes[4 * row + column]
            at = {0: 1.0, 1: 924.0}[column % 2]
            heights = []
            for area in axes.collections:
                ys = [y for x, y in area.get_paths()[0].vertices if x == at]
                heights.append(max(ys) - min(ys))
            assert sum(heights) == pytest.approx(100)
            bar = bars(int(stage == "decode"), row)
            wanted = [100 * bar[part] / sum(bar.values()) for part in PARTS if part in bar]
            assert heights == pytest.approx(wanted), (kind, stage)


def test_points_of_a_roofline():
    (axes,) = drawn(Kind.ROOFLINE).axes
    points = [line for line in axes.lines if line.get_marker() not in ("", "None")]
    rates = {"matrix": DEVICE.peak(), "vector": DEVICE.vector, "memory": DEVICE.memory_bandwidth}
    wanted = {}
    for stage, cost in costs().items():
        parts = {(stage, name): part for name, part in cost.parts.items() if name != "vision"}
        for name, each in {(stage,): cost, **parts}.items():
            busy = {
                "matrix": each.matrix_flops / rates["matrix"],
                "vector": each.vector_flops / rates["vector"],
                "memory": each.bytes_moved / rates["memory"],
            }
            limit = max(busy, key=busy.get)
            point = each.flops / Fraction(each.bytes_moved), each.flops / busy[limit]
            wanted[" / ".join(name)] = (*map(float, point), limit)
    labels = [text.get_text() for text in axes.texts if text.get_text().partition(":")[0] in wanted]
    found = {
        label.partition(":")[0]: (point.get_xdata()[0], point.get_ydata()[0], label.split(", ")[1])
        for label, point in zip(labels, points, strict=True)
    }
    assert found.keys() == wanted.keys()
    for name, (x, y, limit) in wanted.items():
        assert found[name] == (pytest.approx(x), pytest.approx(y), limit)


def overlapping(figure, texts):
    renderer = figure._get_renderer()
    boxes = [text.get_window_extent(renderer) for text in texts]
    return [
        (texts[first].get_text(), texts[second].get_text())
        for first in range(len(boxes))
        for second in range(first)
        if boxes[first].overlaps(boxes[second])
    ]


@pytest.mark.parametrize("sizes", [{}, {"batch": 64}, {"no_image": True}])
def test_names_on_a_roofline_do_not_meet(sizes):
    figure = drawn(Kind.ROOFLINE, **sizes)
    (axes,) = figure.axes
    names = [text for text in axes.texts if text.get_text().startswith(("vis", "pre", "dec"))]
    assert len(names) == (6 if sizes.get("no_image") else 10)
    assert overlapping(figure, names) == []
    renderer = figure._get_renderer()
    for text in names:
        box = text.get_window_extent(renderer)
        assert axes.bbox.x0 <= box.x0
        assert box.x1 <= axes.bbox.x1
    assert overlapping(figure, [names[0], names[0]])


@pytest.mark.parametrize("kind", Kind)
def test_nothing_is_clipped(kind):
    figure = drawn(kind)
    renderer = figure._get_renderer()
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
    boxes += [drawn_text.get_window_extent(renderer) for drawn_text in figure.texts]
    boxes += [legend.get_window_extent(renderer) for legend in figure.legends]
    for number, box in enumerate(boxes):
        assert figure.bbox.x0 - 1 <= box.x0
        assert box.x1 <= figure.bbox.x1 + 1
        assert figure.bbox.y0 - 1 <= box.y0
        assert box.y1 <= figure.bbox.y1 + 1
        assert not any(box.overlaps(other) for other in boxes[:number])


def test_without_an_image_there_is_no_vision():
    figure = drawn(Kind.BREAKDOWN, no_image=True)
    for axes in figure.axes:
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert not {"sam", "clip", "projector"} & set(labels)
    assert figure.axes[0].get_title(loc="left").startswith("prefill: ")


def test_another_process_draws_the_same():
    program = (
        "import hashlib, sys\n"
        "from symcost.render.plots.drawing import Asked, Kind, picture\n"
        "assert 'matplotlib' not in sys.modules\n"
        "found = picture(Asked.page('deepseek-ocr'), Kind.BREAKDOWN, '.svg')\n"
        "print(hashlib.sha256(found).hexdigest())\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    here = picture(Asked.page("deepseek-ocr"), Kind.BREAKDOWN, ".svg")
    assert done.stdout.strip() == hashlib.sha256(here).hexdigest()
    assert b">deepseek-ocr (vendor, fused, head on the last token), batch 1; view" in here


def test_the_plots_of_a_page(monkeypatch):
    def told(page, kind, suffix, device):
        return f"{kind}{suffix} of {page.title} on {device.name}".encode()

    monkeypatch.setattr(drawing, "picture", told)
    found = plots_of_page("deepseek-ocr")
    assert list(found) == ["breakdown", "growth", "roofline", "executions", "shares"]
    title = "deepseek-ocr (vendor, fused, head on the last token), batch 1; view of 1024 px, "
    assert found["growth"].startswith(f"growth.svg of {title}")
    with pytest.raises(InputError, match="model is 'x'; allowed: deepseek-ocr"):
        plots_of_page("x")


def test_refusals(monkeypatch):
    with pytest.raises(InputError, match=r"is to end in '\.pdf'; allowed: \.svg, \.png"):
        picture(asked(), Kind.BREAKDOWN, ".pdf")
    with pytest.raises(InputError, match="a roofline is that of a device"):
        plot(asked(), Kind.ROOFLINE)
    for amount in (10**101, 10**400):
        with pytest.raises(InputError, match="no room for numbers above"):
            drawable(amount)
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    with pytest.raises(InputError, match=r"pip install 'symcost\[plot\]' installs it"):
        picture(asked(), Kind.BREAKDOWN, ".svg")
