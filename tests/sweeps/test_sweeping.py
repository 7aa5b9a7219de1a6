"""Whole sweeps: equal to reports point by point, and the same whatever they are cut into."""

import os
import pickle
import signal
import subprocess
import sys
import time
from fractions import Fraction
from functools import cache
from pathlib import Path

import dask
import numpy as np
import pyarrow.parquet as pq
import pytest
import xarray as xr

import symcost
from symcost.errors import InputError
from symcost.models.deepseek_ocr.routing import Routing
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import Workload, costs_of
from symcost.sweeps.axes import Axis
from symcost.sweeps.plan import Plan
from symcost.sweeps.sweeping import run, sweep

MODEL = "deepseek-ocr"
METRICS = [
    "flops",
    "prefill.decoder.bytes_read",
    "vision.sam.activation_bytes",
    "decode.resident_bytes",
    "generation.bytes_written",
    "generation.resident_bytes",
]
GRID = {"batch": [1, 2, 5], "context_len": [1000, 1111, 3000, 7000], "cached": [0, 1, 1500]}


def reported(point: dict, metrics) -> list:
    """What a report of one workload states."""
    model = {"reference", "execution", "lm_head", "width", "experts"}
    workload = Workload.from_options(**{n: v for n, v in point.items() if n not in model})
    read = {"width": ("widths", Widths.parse), "experts": ("routing", Routing.parse)}
    options = {}
    for name in model & point.keys():
        to, parse = read.get(name, (name, str))
        options[to] = parse(point[name])
    costs = costs_of(lambda views: symcost.load(MODEL, views=views, **options), workload)
    found = {**costs.stages, "generation": costs.generation}
    values = []
    for metric in metrics:
        stage, *parts, name = metric.split(".")
        cost = found[stage]
        for part in parts:
            cost = cost.parts[part]
        values.append(cost.figure(name))
    return values


@pytest.mark.parametrize(
    ("axes", "options"),
    [
        ({"batch": [1, 3], "context_len": [950, 4001]}, {"new_tokens": 7}),
        ({"mode": ["tiny", "gundam"], "prompt_tokens": [0, 77]}, {"cached": 5, "batch": 2}),
        ({"execution": ["fused", "vision=ideal"], "image": ["640x641"]}, {"reference": "vendor"}),
        ({("batch", "cached"): [(2, 100), (8, 3000)], "width": ["kv=1,weights=1/2"]}, {}),
        ({"crop_grid": ["1x1", "3x3"], "base_size": [512, 1280]}, {"tile_size": 1024}),
        (
            {"batch": [1, 20], "lm_head": ["all", "last"]},
            {"no_image": True, "context_len": 3, "reference": "transformers"},
        ),
        ({"experts": ["least", "most", "decode=0.55"], "batch": [64]}, {"execution": "ideal"}),
    ],
)
def test_every_point_is_what_a_report_states(axes, options):
    found = sweep(MODEL, axes, METRICS, **options)
    points = found.plan.points
    for index in range(points.size):
        places = points.coordinates(np.array([index]))
        point = options | {name: values.item() for name, values in places.items()}
        got = [Fraction(found[m].reshape(-1)[index].item()) for m in found.plan.metrics]
        assert got == reported(point, found.plan.metrics), point


@cache
def whole():
    return sweep(MODEL, GRID, METRICS)


@pytest.mark.parametrize("chunk", [1, 2, 5, 12, 35, 10**6])
def test_results_do_not_depend_on_chunks(chunk):
    found = sweep(MODEL, GRID, METRICS, chunk=chunk)
    for metric in whole().plan.metrics:
        assert found[metric].dtype == np.int64
        np.testing.assert_array_equal(found[metric], whole()[metric])


def test_without_dask_points_are_the_same(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    found = sweep(MODEL, GRID, METRICS, chunk=5)
    np.testing.assert_array_equal(found["prefill.flops"], whole()["prefill.flops"])


def test_a_table_of_points_is_the_grid_of_these_points():
    columns = np.meshgrid(*GRID.values(), indexing="ij")
    table = {tuple(GRID): np.stack([c.ravel() for c in columns], axis=1)}
    found = sweep(MODEL, table, METRICS)
    for metric in found.plan.metrics:
        np.testing.assert_array_equal(found[metric], whole()[metric].ravel())


def test_rows_of_a_table_may_be_alike(tmp_path):
    table = [Axis.table({"batch": [5, 1, 5, 2, 1]})]
    options = {"context_len": 3000, "cached": 1}
    found = sweep(MODEL, table, ["prefill.flops"], reduce=["top:prefill.flops:2"], **options)
    assert found.reduced["top:prefill.flops:2"].indices.tolist() == [0, 2]
    sweep(MODEL, table, ["prefill.flops"], out=tmp_path / "x.parquet", chunk=2, **options)
    rows = pq.read_table(tmp_path / "x.parquet")
    assert rows["batch"].to_pylist() == [5, 1, 5, 2, 1]
    expected = whole()["prefill.flops"][[2, 0, 2, 1, 0], 2, 1]
    assert rows["prefill.flops"].to_pylist() == expected.tolist()


def test_filters_on_sizes_and_on_metrics_leave_the_points_that_hold_them():
    limit = int(np.median(whole()["decode.resident_bytes"]))
    where = ["context_len > cached", "batch != 2", f"decode.resident_bytes <= {limit}"]
    batch, context, cached = np.meshgrid(*GRID.values(), indexing="ij")
    held = (context > cached) & (batch != 2) & (whole()["decode.resident_bytes"] <= limit)
    assert 0 < held.sum() < held.size
    found = sweep(MODEL, GRID, METRICS, where=where, chunk=7)
    np.testing.assert_array_equal(found.indices, np.flatnonzero(held))
    np.testing.assert_array_equal(found["prefill.flops"], whole()["prefill.flops"][held])
    np.testing.assert_array_equal(found.coordinates["batch"], batch[held])


def test_a_filter_on_a_metric_that_is_not_asked_for():
    limit = int(np.median(whole()["prefill.flops"]))
    found = sweep(MODEL, GRID, ["decode.flops"], where=[f"prefill.flops < {limit}"])
    assert list(found.columns) == ["decode.flops"]
    np.testing.assert_array_equal(
        found["decode.flops"],
        sweep(MODEL, GRID, ["decode.flops"])["decode.flops"][whole()["prefill.flops"] < limit],
    )


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_reductions_find_what_the_points_hold(chunk):
    flops, held = whole()["prefill.flops"].ravel(), whole()["decode.resident_bytes"].ravel()
    asked = [
        "min:prefill.flops",
        "max:decode.resident_bytes",
        "quantiles:prefill.flops:0.5,0.9",
        "histogram:prefill.flops:3",
        "top:prefill.flops:4",
        "count",
        "first",
    ]
    found = sweep(MODEL, GRID, METRICS, reduce=asked, chunk=chunk).reduced
    assert found["min:prefill.flops"].indices == [flops.argmin()]
    assert found["max:decode.resident_bytes"].columns["decode.resident_bytes"] == [held.max()]
    quantiles = found["quantiles:prefill.flops:0.5,0.9"]
    for share, value in quantiles.items():
        assert value == np.quantile(flops, float(share), method="inverted_cdf")
    assert set(quantiles) == {Fraction(1, 2), Fraction(9, 10)}
    assert sum(found["histogram:prefill.flops:3"].counts) == flops.size == found["count"]
    best = np.lexsort((np.arange(flops.size), -flops))[:4]
    np.testing.assert_array_equal(found["top:prefill.flops:4"].indices, best)
    assert found["first"].indices == [0]


def test_the_first_point_that_meets_a_limit_ends_the_sweep():
    seen = []
    axes = {"batch": range(1, 1001), "cached": range(1000)}
    found = sweep(
        MODEL,
        axes,
        ["decode.kv_bytes"],
        where=["decode.kv_bytes > 1e9"],
        reduce=["first"],
        chunk=1000,
        progress=lambda done, _: seen.append(done),
    )
    (index,) = found.reduced["first"].indices
    batch, cached = divmod(int(index), 1000)
    assert 61440 * (batch + 1) * (cached + 1) > 10**9 >= 61440 * (batch + 1) * cached
    assert seen[-1] < 1000 * 1000


def test_a_dataset_has_coordinates_and_units():
    data = whole().dataset
    assert data["prefill.flops"].dims == tuple(GRID)
    assert data["prefill.flops"].attrs["units"] == "FLOPs"
    assert data.context_len.attrs["units"] == "tokens"
    at = data["decode.resident_bytes"].sel(batch=5, context_len=3000, cached=1)
    assert int(at) == whole()["decode.resident_bytes"][2, 2, 1]
    left = sweep(MODEL, GRID, ["decode.flops"], where=["batch == 5"]).dataset
    assert left["decode.flops"].dims == ("point",)
    assert set(left.batch.values.tolist()) == {5}
    with pytest.raises(InputError, match="no dataset: no point holds the conditions"):
        _ = sweep(MODEL, GRID, ["decode.flops"], where=["batch > 5"]).dataset


def test_what_is_beyond_64_bits_is_refused_or_rounded_on_request():
    axes = {"batch": [1, 10**6], "context_len": [1000, 10**7]}
    with pytest.raises(InputError, match=r"prefill.flops can reach .*e\+2\d.* beyond the 2\^63"):
        sweep(MODEL, axes, ["prefill.flops"])
    found = sweep(MODEL, axes, ["prefill.flops"], dtype="float64")
    (exact,) = reported({"batch": 10**6, "context_len": 10**7}, ["prefill.flops"])
    assert exact > 2**63
    error = abs(Fraction(float(found["prefill.flops"][1, 1])) - exact) / exact
    assert error <= Fraction(found.plan.relative_error) < Fraction(1, 10**13)


def test_what_is_no_whole_number_is_refused_or_rounded_on_request():
    axes = {"batch": [1, 2]}
    with pytest.raises(InputError, match=r"decode\.weight_bytes is no whole number"):
        sweep(MODEL, axes, ["decode.weight_bytes"], width="weights=1/3")
    found = sweep(MODEL, axes, ["decode.weight_bytes"], width="weights=1/3", dtype="float64")
    (exact,) = reported({"width": "weights=1/3"}, ["decode.weight_bytes"])
    assert abs(Fraction(float(found["decode.weight_bytes"][0])) - exact) <= exact * Fraction(
        found.plan.relative_error
    )


@pytest.mark.parametrize(
    ("metrics", "options", "told"),
    [
        (["prefill.speed"], {}, "'prefill.speed' ends in 'speed'; allowed: flops"),
        (["training.flops"], {}, "names 'training'; allowed there: vision, prefill, decode, gen"),
        (["prefill.flops"], {"reduce": ["min:decode.flops"]}, "ask for it"),
        (["prefill.flops"], {"where": ["decode.speed > 1"]}, "ends in 'speed'"),
        (["prefill.flops"], {"dtype": "float32"}, "dtype is 'float32'; allowed"),
        (["prefill.flops"], {"scheduler": "tcp://127.0.0.1:9"}, "cannot be reached"),
        (["prefill.flops"], {"chunk": 0}, "chunk of 0"),
        ("prefill.flops", {}, r"metrics is 'prefill.flops'; allowed: a list of texts, \['prefill"),
        (["prefill.flops"], {"where": "batch > 1"}, r"where is 'batch > 1'; .* \['batch > 1'\]"),
        (["prefill.flops"], {"reduce": "count"}, r"reduce is 'count'; .* \['count'\]"),
    ],
)
def test_bad_requests_are_told_in_one_line(metrics, options, told, monkeypatch):
    monkeypatch.setattr("symcost.sweeps.sweeping._PATIENCE", 1)
    with pytest.raises(InputError, match=told) as error:
        sweep(MODEL, {"batch": [1, 2]}, metrics, **options)
    assert "\n" not in str(error.value)


def test_a_cluster_that_does_not_answer_costs_no_result(tmp_path):
    plan = Plan(MODEL, {"batch": [1, 2]}, ["decode.kv_bytes"], no_image=True)
    run(plan, out=tmp_path / "there.parquet")
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    for name in ("there.parquet", "new.zarr"):
        with pytest.raises(InputError, match="cannot be reached"):
            run(plan, out=tmp_path / name, overwrite=True, scheduler="nowhere")
        assert dask.config.get("scheduler", None) is None  # what others compute with
    after = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    assert after == before


def test_too_many_points_are_not_kept():
    axes = {"batch": range(1, 10**5), "cached": range(10**5)}
    told = "9999900000 points of 1 metric are too many to keep in memory; write them"
    with pytest.raises(InputError, match=told):
        sweep(MODEL, axes, ["decode.flops"])


def test_there_is_nothing_to_go_on_with_without_a_file():
    with pytest.raises(InputError, match="--resume goes on with a file; give --out"):
        sweep(MODEL, {"batch": [1, 2]}, ["decode.flops"], resume=True)


def test_a_plan_goes_to_another_process():
    plan = Plan(MODEL, GRID, METRICS, where=["batch < 5"])
    there = pickle.loads(pickle.dumps(plan))  # noqa: S301 - our own
    np.testing.assert_array_equal(run(there)["prefill.flops"], run(plan)["prefill.flops"])


@pytest.mark.filterwarnings("ignore:Creating scratch directories:UserWarning")  # a slow disk
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_cluster_gives_the_same(workers, tmp_path):
    distributed = pytest.importorskip("dask.distributed")
    with distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    ) as cluster:
        address = cluster.scheduler_address
        found = sweep(MODEL, GRID, METRICS, chunk=5, scheduler=address)
        reduced = sweep(
            MODEL,
            GRID,
            METRICS,
            where=["batch > 1"],
            reduce=["quantiles:prefill.flops:0.5"],
            chunk=5,
            scheduler=address,
        )
        sweep(MODEL, GRID, METRICS, out=tmp_path / "c.parquet", chunk=5, scheduler=address)
    for metric in found.plan.metrics:
        np.testing.assert_array_equal(found[metric], whole()[metric])
    value = np.quantile(whole()["prefill.flops"][1:], 0.5, method="inverted_cdf")
    assert reduced.reduced["quantiles:prefill.flops:0.5"] == {Fraction(1, 2): value}
    sweep(MODEL, GRID, METRICS, out=tmp_path / "l.parquet", chunk=5)
    for part in sorted((tmp_path / "l.parquet").glob("part-*")):
        assert part.read_bytes() == (tmp_path / "c.parquet" / part.name).read_bytes()


SLOW = """
import sys, time
from symcost.sweeps import sweeping
work = sweeping._work
def slow(*task):
    time.sleep(0.05)
    return work(*task)
sweeping._work = slow
sweeping.sweep(
    "deepseek-ocr", AXES, ["decode.flops", "decode.bytes_read"],
    chunk=50, out=sys.argv[1], resume=True,
)
"""


@pytest.mark.parametrize("ending", ["parquet", "zarr"])
def test_a_killed_sweep_goes_on_where_it_was(tmp_path, ending):
    axes = {"batch": list(range(1, 41)), "cached": list(range(0, 5000, 100))}
    straight, killed = tmp_path / f"straight.{ending}", tmp_path / f"killed.{ending}"
    sweep(MODEL, axes, ["decode.flops", "decode.bytes_read"], chunk=50, out=straight)
    program = [sys.executable, "-c", SLOW.replace("AXES", repr(axes)), str(killed)]
    process = subprocess.Popen(program)
    pattern = "part-*" if ending == "parquet" else "decode.flops/c/*/*"
    before = []
    while len(before) < 5:
        assert process.poll() is None
        time.sleep(0.02)
        before = sorted(killed.glob(pattern))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    stamps = {path: path.stat().st_mtime_ns for path in sorted(killed.glob(pattern))[:4]}
    assert len(list(killed.glob(pattern))) < 40
    done = []
    sweep(
        MODEL,
        axes,
        ["decode.flops", "decode.bytes_read"],
        chunk=50,
        out=killed,
        resume=True,
        progress=lambda points, _: done.append(points),
    )
    assert len(done) < 41
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    if ending == "parquet":
        assert pq.read_table(killed).equals(pq.read_table(straight))
    else:
        assert xr.open_zarr(killed).identical(xr.open_zarr(straight))


def test_another_sweep_is_not_gone_on_with(tmp_path):
    out = tmp_path / "x.parquet"
    sweep(MODEL, {"batch": [1, 2]}, ["decode.flops"], out=out, cached=5)
    before = {path: path.read_bytes() for path in Path(out).iterdir()}
    for options in (
        {"cached": 6},
        {"cached": 5, "execution": "fused"},
        {"cached": 5, "where": ["batch > 1"]},
    ):
        with pytest.raises(InputError, match="holds another sweep"):
            sweep(MODEL, {"batch": [1, 2]}, ["decode.flops"], out=out, resume=True, **options)
    assert {path: path.read_bytes() for path in Path(out).iterdir()} == before
