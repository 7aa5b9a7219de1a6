"""`symcost roofline`: devices side by side, stage by stage, and targets turned round."""

import json
import re
from fractions import Fraction

import pytest

from tests.cli.program import run


def found_for(*arguments):
    done = run("roofline", "deepseek-ocr", *arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_all_devices_in_short():
    done = run("roofline", "deepseek-ocr")
    assert done.returncode == 0
    assert "deepseek-ocr (vendor, ideal, head on the last token), batch 1;" in done.stdout
    for name in ("A100-40GB", "B200", "MI300X", "TPU-v5e"):
        assert name in done.stdout
    assert "at best is at 100 % of each peak" in done.stdout
    assert "maximum of sums" in done.stdout
    assert "TPU-v5e states no vector peak" in done.stdout


def test_stages_of_a_device():
    found = found_for("--device", "a100-40gb", "--batch", "2")
    (device,) = found["devices"]
    lines, asked = device["asked"]["lines"], device["asked"]
    report = json.loads(
        run(
            "report",
            "deepseek-ocr",
            "--batch",
            "2",
            "--new-tokens",
            "1000",
            "--execution",
            "ideal",
            "--lm-head",
            "last",
            "--format",
            "json",
        ).stdout
    )
    decoder = report["stages"]["prefill"]["parts"]["decoder"]
    line = lines["prefill.decoder"]
    assert line["flops"] == decoder["flops"]
    assert Fraction(line["busy_seconds"]["matrix"]) == Fraction(
        decoder["matrix_flops"], 312 * 10**12
    )
    assert Fraction(line["seconds"]) == max(map(Fraction, line["busy_seconds"].values()))
    assert asked["resident_bytes"] == report["generation"]["resident_bytes"]
    assert device["largest"]["batch"] == device["largest_batch"]["ranges"][0][1]


def test_stated_efficiencies_stand_beside_the_best():
    done = run("roofline", "deepseek-ocr", "--device", "H20", "--efficiency", "0.5")
    assert "efficiency 0.5" in done.stdout
    titles = re.findall(r"Answers.*", done.stdout)
    assert [title.strip() for title in titles] == ["Answers with efficiency 0.5", "Answers at best"]


def test_targets_turned_round():
    found = found_for("--device", "L4", "--target-ttft", "200ms", "--target-tpot", "10ms")
    needed = found["devices"][0]["needed"]
    report = json.loads(
        run(
            "report",
            "deepseek-ocr",
            "--new-tokens",
            "1000",
            "--execution",
            "ideal",
            "--lm-head",
            "last",
            "--format",
            "json",
        ).stdout
    )
    rates = {(need["target"], need["engine"]): Fraction(need["rate"]) for need in needed}
    prefill, decode = (report["stages"][stage] for stage in ("prefill", "decode"))
    assert rates["ttft", "matrix"] == prefill["matrix_flops"] * 5
    assert rates["tpot", "memory"] == Fraction(decode["bytes_moved"], 1000) * 100


def test_several_devices_and_their_links():
    found = found_for(
        "--device", "H100-SXM", "--device", "H20", "--parallel", "tensor=2", "--batch", "8"
    )
    assert [device["device"] for device in found["devices"]] == ["H100-SXM", "H20"]
    for device in found["devices"]:
        busy = device["asked"]["lines"]["prefill.decoder"]["busy_seconds"]
        assert Fraction(busy["link"]) > 0


def test_a_device_that_is_too_small(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        '[tiny]\nmatrix = { bf16 = "1 TFLOPS" }\nmemory = "4 GB"\nmemory_bandwidth = "1 GB/s"\n'
    )
    done = run("roofline", "deepseek-ocr", "--devices", str(file), "--device", "tiny")
    assert done.returncode == 0
    assert "6.791 GB, too much" in done.stdout
    assert "tiny: its memory does not hold one sequence" in done.stdout


def test_by_kernel_targets_tell_what_all_engines_have_to_grow_by():
    arguments = ("--device", "H100-SXM", "--execution", "fused", "--granularity", "kernel")
    done = run("roofline", "deepseek-ocr", *arguments, "--target-ttft", "7ms")
    found = found_for(*arguments)
    took = Fraction(found["devices"][0]["asked"]["ttft"]["seconds"])
    assert f"{float(took / Fraction(7, 1000)):.4g} times" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--target-ttft", "1e-400s"],
        ["--batch", "9" * 400],
        ["--new-tokens", "9" * 400],
        ["--context-len", "9" * 400],
    ],
)
def test_numbers_beyond_floats(arguments):
    done = run("roofline", "deepseek-ocr", "--device", "H100-SXM", *arguments)
    assert done.returncode == 0
    assert "e+" in done.stdout


def test_devices_that_lack_what_is_asked_for_are_told(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        "\ufeff[lonely]\nmatrix = { bf16 = '9 TFLOPS' }\nmemory = '9 GB'\n"
        "memory_bandwidth = '1 TB/s'\n",
        encoding="utf-8",
    )
    done = run("roofline", "deepseek-ocr", "--devices", str(file), "--parallel", "tensor=2")
    assert done.returncode == 0
    assert "lonely is not shown: it states no link" in done.stdout
    done = run("roofline", "deepseek-ocr", "--type", "fp8")
    assert "A100-40GB is not shown: it states no peak for fp8" in done.stdout
    done = run(
        "roofline",
        "deepseek-ocr",
        "--devices",
        str(file),
        "--device",
        "lonely",
        "--parallel",
        "tensor=2",
    )
    assert done.returncode == 2
    assert "device lonely states no link_bandwidth" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--device", "none"], "device is 'none'"),
        (["--device", "A100-40GB", "--type", "fp8"], "states no matrix peak for 'fp8'"),
        (["--type", "fp64"], "no device states a matrix peak for 'fp64'"),
        (["--target-ttft", "200"], "target-ttft is 200, a plain number; needed: seconds"),
        (["--target-tpot", "0ms"], "target-tpot is 0ms; allowed: a time above zero"),
        (["--efficiency", "matrix=0"], "efficiency is 'matrix=0'; allowed"),
        (["--parallel", "tensor=3,expert=2"], "parallel expert is 2; allowed"),
    ],
)
def test_refusals(arguments, told):
    done = run("roofline", "deepseek-ocr", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(f"error: .*{told}.*\n", done.stderr)


def test_a_report_with_devices():
    arguments = ("--device", "L4", "--execution", "fused", "--new-tokens", "9")
    found = json.loads(run("report", "deepseek-ocr", *arguments, "--format", "json").stdout)
    (device,) = found["roofline"]
    alone = found_for(*arguments, "--lm-head", "all")
    assert device == alone["devices"][0]
    assert "on L4 in bf16, at 100 % of peaks" in run("report", "deepseek-ocr", *arguments).stdout
    together = run("report", "deepseek-ocr", "--device", "L4", "--execution", "all").stdout
    assert all(f"{name} on L4 in bf16" in together for name in ("eager", "fused", "ideal"))
    done = run("report", "deepseek-ocr", "--device", "L4", "--backward")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: --backward excludes --device")
