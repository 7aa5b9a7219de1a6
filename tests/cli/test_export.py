"""`symcost export`: files that run elsewhere, and what is refused."""

import csv
import json
import runpy
import zipfile

import pytest

from tests.cli.program import run


@pytest.mark.parametrize(
    ("lang", "names"),
    [
        ("python", ["deepseek_ocr.py"]),
        ("c", ["deepseek_ocr.c", "deepseek_ocr.h"]),
        ("javascript", ["deepseek_ocr.mjs"]),
        ("latex", ["deepseek_ocr.tex"]),
        ("json", ["deepseek_ocr.json", "deepseek_ocr.schema.json"]),
        ("csv", ["deepseek_ocr.csv"]),
    ],
)
def test_files_of_a_language(lang, names, tmp_path):
    figures = ("--execution", "ideal", "--figure", "decode.bytes_read")
    done = run("export", "deepseek-ocr", "--lang", lang, *figures, "-o", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert "bytes_read" in (tmp_path / "out" / names[-1]).read_text(encoding="utf-8").replace(
        "\\_", "_"
    )


def test_exported_python_says_what_a_report_says(tmp_path):
    options = ("--execution", "fused", "--lm-head", "last", "--width", "kv=1")
    done = run("export", "deepseek-ocr", "--lang", "python", *options, "-o", str(tmp_path))
    assert done.returncode == 0, done.stderr
    code = runpy.run_path(str(tmp_path / "deepseek_ocr.py"))
    report = run("report", "deepseek-ocr", *options, "--batch", "3", "--format", "json")
    stages = json.loads(report.stdout)["stages"]
    found = code["prefill"](B=3, S=924, I_g=1024, I_t=640, n_w=2, n_h=3)
    for metric in ("flops", "bytes_read", "bytes_written", "kv_bytes", "resident_bytes"):
        assert getattr(found, metric) == stages["prefill"][metric]
    found = code["decode"](B=3, K=924, T=1)
    for metric in ("flops", "bytes_read", "activation_bytes"):
        assert getattr(found, metric) == stages["decode"][metric]


def test_without_images_vision_is_left_out_and_files_say_so(tmp_path):
    done = run("export", "deepseek-ocr", "--lang", "csv", "--no-image", "-o", str(tmp_path))
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "deepseek_ocr.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert {row["stage"] for row in rows} == {"prefill", "decode"}
    assert all(row["assumptions"].endswith("; images none") for row in rows)


def test_a_workbook(tmp_path):
    command = ("export", "deepseek-ocr", "--lang", "xlsx", "--figure", "decode.flops")
    assert run(*command, "-o", str(tmp_path)).returncode == 0
    assert zipfile.is_zipfile(tmp_path / "deepseek_ocr.xlsx")


def test_a_file_is_replaced_only_if_asked_for(tmp_path):
    command = ("export", "deepseek-ocr", "--lang", "python", "--figure", "decode.flops")
    assert run(*command, "-o", str(tmp_path)).returncode == 0
    done = run(*command, "-o", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {tmp_path}/deepseek_ocr.py exists; --overwrite replaces it\n"
    assert run(*command, "-o", str(tmp_path), "--overwrite").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--lang", "cobol"], "cobol"),
        (["--lang", "python", "--figure", "prefill.speed"], "ends in 'speed'; allowed: flops"),
        (["--lang", "python", "--figure", "train.flops"], "names 'train'"),
        (["--lang", "c", "--width", "weights=1/7"], "whole"),
        (["--lang", "python", "-o", "/proc/nowhere"], "cannot be written"),
    ],
)
def test_refusals(arguments, told, tmp_path):
    done = run("export", "deepseek-ocr", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
