"""The command sweep, as its users drive it."""

from __future__ import annotations

import csv
import json

import pyarrow.parquet as pq
import pytest
import xarray as xr

import symcost
from tests.cli.program import run

GRID = ("--axis", "batch=1:4:*2", "--axis", "context_len=1024:1536:+256")
METRICS = ("--metric", "prefill.flops", "--metric", "decode.resident_bytes")


def sweep(*arguments: str, code: int = 0) -> str:
    done = run("sweep", "deepseek-ocr", *arguments)
    assert done.returncode == code, done.stderr
    if code:
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        return done.stderr
    return done.stdout


def prefill_flops(batch: int, context_len: int) -> int:
    model = symcost.load("deepseek-ocr", views=symcost.views_of_page(1654, 2339))
    return symcost.get_prefill_cost(model, context_len=context_len, batch_size=batch).flops


def test_the_summary_tells_the_least_and_the_greatest_and_where():
    shown = sweep(*GRID, *METRICS)
    assert "9 points (3 batch × 3 context_len), 2 metrics each" in shown
    row = next(line for line in shown.splitlines() if "prefill.flops" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == [
        "prefill.flops",
        "4.731 TFLOPs",
        "batch=1, context_len=1024",
        "21.60 TFLOPs",
        "batch=4, context_len=1536",
    ]


def test_json_holds_exact_numbers():
    found = json.loads(sweep(*GRID, *METRICS, "--format", "json"))
    (most,) = found["reductions"]["max:prefill.flops"]
    assert most == {"batch": 4, "context_len": 1536, "prefill.flops": prefill_flops(4, 1536)}
    assert found["axes"]["batch"] == {"values": 3, "first": {"batch": 1}, "last": {"batch": 4}}
    assert found["points"] == 9


def test_reductions_of_all_kinds_are_shown():
    asked = {
        "pareto:-prefill.flops,decode.resident_bytes": "9 batch",
        "quantiles:prefill.flops:0.5,1": "1/2",
        "histogram:prefill.flops:3": "from",
        "top:prefill.flops:2": "21.60 TFLOPs",
        "count": "9",
        "first": "1024",
    }
    options = [part for text in asked for part in ("--reduce", text)]
    for form in ("table", "markdown"):
        shown = sweep(*GRID, *METRICS, *options, "--format", form)
        for text, expected in list(asked.items())[1:]:
            assert text in shown
            assert expected in shown
    found = json.loads(sweep(*GRID, *METRICS, *options, "--format", "json"))["reductions"]
    assert found["count"] == 9
    assert sum(found["histogram:prefill.flops:3"]["counts"]) == 9
    assert found["quantiles:prefill.flops:0.5,1"]["1"] == prefill_flops(4, 1536)
    assert len(found["pareto:-prefill.flops,decode.resident_bytes"]) == 9


def test_filters_that_leave_nothing_leave_nothing():
    where = ("--where", "batch > 100", "--reduce", "count", "--reduce", "first")
    shown = sweep(*GRID, *METRICS, *where)
    assert "where batch > 100" in shown
    assert "none" in shown
    empty = json.loads(sweep(*GRID, *METRICS, *where, "--format", "json"))["reductions"]
    assert empty == {"count": 0, "first": []}
    assert "where batch > 100" in sweep(*GRID, *METRICS, "--where", "batch > 100")


def test_every_kind_of_file_holds_the_points(tmp_path):
    names = ("parquet", "csv", "zarr", "nc")
    for name in names:
        shown = sweep(*GRID, *METRICS, "--out", str(tmp_path / f"x.{name}"))
        assert f"wrote {tmp_path / f'x.{name}'}" in shown
    expected = [prefill_flops(b, s) for b in (1, 2, 4) for s in (1024, 1280, 1536)]
    assert pq.read_table(tmp_path / "x.parquet")["prefill.flops"].to_pylist() == expected
    with (tmp_path / "x.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["prefill.flops"]) for row in rows] == expected
    for data in (xr.open_zarr(tmp_path / "x.zarr"), xr.open_dataset(tmp_path / "x.nc")):
        assert data["prefill.flops"].values.ravel().tolist() == expected
        assert data["prefill.flops"].attrs["units"] == "FLOPs"
        data.close()


def test_what_is_there_is_kept_unless_told(tmp_path):
    out = tmp_path / "x.parquet"
    arguments = (*GRID, *METRICS, "--out", str(out))
    sweep(*arguments)
    assert "exists" in sweep(*arguments, code=2)
    assert "exists" not in sweep(*arguments, "--resume")
    assert "another sweep" in sweep(*arguments, "--cached", "2", "--resume", code=2)
    sweep(*arguments, "--overwrite")
    (tmp_path / "y.parquet").mkdir()
    (tmp_path / "y.parquet" / "mine.txt").write_text("mine")
    for told in ("--resume", "--overwrite"):
        refused = sweep(*GRID, *METRICS, "--out", str(tmp_path / "y.parquet"), told, code=2)
        assert "no output of a sweep" in refused
    assert [path.name for path in (tmp_path / "y.parquet").iterdir()] == ["mine.txt"]


def test_a_table_of_points(tmp_path):
    table = tmp_path / "requests.csv"
    table.write_text("batch,context_len\n1,1024\n4,1536\n")
    out = tmp_path / "out.csv"
    sweep("--table", str(table), "--axis", "lm_head=all,last", *METRICS, "--out", str(out))
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["batch"], row["lm_head"]) for row in rows] == [
        ("1", "all"),
        ("1", "last"),
        ("4", "all"),
        ("4", "last"),
    ]
    assert int(rows[0]["prefill.flops"]) == prefill_flops(1, 1024)
    assert int(rows[2]["prefill.flops"]) == prefill_flops(4, 1536)
    assert int(rows[3]["prefill.flops"]) < int(rows[2]["prefill.flops"])


def test_a_plot_is_drawn(tmp_path):
    for name in ("x.svg", "x.png"):
        assert f"wrote {tmp_path / name}" in sweep(*GRID, *METRICS, "--plot", str(tmp_path / name))
    assert (tmp_path / "x.svg").read_text().lstrip().startswith("<?xml")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    again = sweep(*GRID, *METRICS, "--plot", str(tmp_path / "x.svg"), code=2)
    assert "exists" in again


def test_a_plot_that_cannot_be_is_refused_before_anything_is_done(tmp_path):
    lines = ("--axis", "batch=1:20", "--axis", "cached=1:30", "--axis", "context_len=1:16")
    asked = (*lines, "--no-image", "--metric", "decode.kv_bytes", "--out", str(tmp_path / "x.csv"))
    assert "320 lines along" in sweep(*asked, "--plot", str(tmp_path / "x.svg"), code=2)
    assert not list(tmp_path.iterdir())


def test_what_came_out_is_told_where_no_point_is_left_to_plot(tmp_path):
    out, plot = tmp_path / "x.csv", tmp_path / "x.svg"
    left = ("--metric", "decode.flops", "--where", "decode.flops < 1", "--reduce", "count")
    told = ("--out", str(out), "--plot", str(plot))
    done = run("sweep", "deepseek-ocr", "--axis", "batch=1,2", "--no-image", *left, *told)
    assert done.returncode == 2
    assert done.stderr == "error: there is nothing to plot: no point holds the conditions\n"
    assert "  0 │" in done.stdout
    assert f"wrote {out}" in done.stdout
    assert "x.svg" not in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_float64_states_its_error():
    axes = ("--axis", "batch=1000000", "--axis", "context_len=10000000")
    refused = sweep(*axes, "--metric", "prefill.flops", code=2)
    assert "beyond the 2^63 of exact integers" in refused
    assert "--float64" in refused
    shown = sweep(*axes, "--metric", "prefill.flops", "--float64")
    assert "rounded to float64, relative error at most" in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "nothing changes; give --axis"),
        (("--axis", "batch"), "axis 'batch' has no values"),
        (("--axis", "batches=1,2"), "axis 'batches' is unknown; allowed: batch"),
        (("--axis", "batch=1:10:*1"), "batch"),
        (("--axis", "batch=0,1"), "batch is 0"),
        (("--axis", "batch=1,2", "--batch", "3"), "as an axis and as an option"),
        (("--axis", "batch=1,2", "--metric", "speed"), "allowed: flops"),
        (("--axis", "batch=1,2", "--where", "batch"), "allowed: NAME OP VALUE"),
        (("--axis", "batch=1,2", "--where", "batches > 1"), "where names 'batches'; allowed"),
        (("--axis", "batch=1,2", "--reduce", "mean:prefill.flops"), "allowed: min:METRIC"),
        (("--axis", "batch=1,2", "--out", "x.xlsx"), "allowed: FILE.parquet"),
        (("--axis", "batch=1,2", "--out", "x.csv", "--resume"), "cannot be resumed"),
        (("--axis", "batch=1,2", "--plot", "x.gif"), "x.gif"),
        (("--axis", "context_len=128:256:+128"), "--where 'context_len >= image_tokens'"),
        (("--axis", "experts=0.5", "--axis", "batch=1,64"), "batch >= 6"),
        (("--table", "nowhere.csv"), "nowhere.csv cannot be read"),
    ],
)
def test_bad_input_is_one_line(arguments, told):
    assert told in sweep(*arguments, code=2)
