"""`symcost plot`: files, what they say runs, and refusals that leave nothing behind."""

import re
import xml.etree.ElementTree as ET

import pytest

from tests.cli.program import run


def plotted(*arguments, cwd):
    return run("plot", "deepseek-ocr", *arguments, cwd=cwd)


def test_a_roofline_says_what_runs(tmp_path):
    arguments = ("--kind", "roofline", "--device", "l4", "--batch", "3", "-o", "page.svg")
    done = plotted(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "wrote page.svg\n"), done.stderr
    text = (tmp_path / "page.svg").read_text(encoding="utf-8")
    assert ET.fromstring(text).tag.endswith("svg")  # noqa: S314 - our own file
    assert "deepseek-ocr (vendor, fused, head on the last token), batch 3; " in text
    assert "Roofline of L4" in text


def test_a_file_that_exists_stays_unless_told_otherwise(tmp_path):
    there = tmp_path / "page.png"
    there.write_bytes(b"mine")
    arguments = ("--kind", "breakdown", "--no-image", "--execution", "ideal", "-o", "page.png")
    done = plotted(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: page.png exists; --overwrite replaces it\n"
    assert there.read_bytes() == b"mine"
    assert plotted(*arguments, "--overwrite", cwd=tmp_path).returncode == 0
    assert there.read_bytes().startswith(b"\x89PNG")


def test_all_executions_name_none(tmp_path):
    done = plotted("--kind", "executions", "--no-image", "-o", "all.svg", cwd=tmp_path)
    assert done.returncode == 0
    text = (tmp_path / "all.svg").read_text(encoding="utf-8")
    assert ">deepseek-ocr (vendor, head on the last token), batch 1; no image; " in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--kind", "pie", "-o", "a.svg"], "'pie' is not one of 'breakdown', 'growth'"),
        (["--kind", "growth"], "Missing option '-o' / '--output'"),
        (["--kind", "growth", "-o", "a.pdf"], "a.pdf has no known ending; allowed: FILE.svg"),
        (["--kind", "growth", "-o", "."], ". has no known ending"),
        (["--kind", "growth", "-o", "/dev/null/a.svg"], "cannot be written"),
        (["--kind", "roofline", "-o", "a.svg"], "--kind roofline needs one --device"),
        (
            ["--kind", "roofline", "--device", "L4", "--device", "T4", "-o", "a.svg"],
            "--kind roofline needs one --device",
        ),
        (["--kind", "roofline", "--device", "X", "-o", "a.svg"], "device is 'X'; allowed: A100"),
        (["--kind", "shares", "--device", "L4", "-o", "a.svg"], "excludes --device"),
        (
            ["--kind", "executions", "--execution", "ideal", "-o", "a.svg"],
            "--kind executions excludes --execution",
        ),
        (["--kind", "growth", "--execution", "x", "-o", "a.svg"], "execution is 'x'; allowed"),
        (["--kind", "growth", "--batch", "9" * 400, "-o", "a.svg"], "no room for numbers above"),
        (["--kind", "shares", "--batch", "0", "-o", "a.svg"], "batch is 0; allowed"),
    ],
)
def test_refusals(arguments, told, tmp_path):
    done = plotted(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(f"error: .*{re.escape(told)}.*\n", done.stderr)
    assert list(tmp_path.iterdir()) == []
