"""`symcost devices`: its table, Markdown and JSON, with and without a file."""

from __future__ import annotations

import json
from fractions import Fraction
from io import StringIO

import pytest
from rich.console import Console

from symcost.cli.output import section_tables
from symcost.insight.devices import known_devices
from symcost.render.devices import devices_sections
from tests.cli.program import run

MINE = """
[Mine]
matrix = { fp8 = "1/3 PFLOPS" }
memory = "16 GiB"
memory_bandwidth = "100 GB/s"
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return str(path)


def test_json_is_exact(mine):
    done = run("devices", "--devices", mine, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)["devices"]
    assert list(found) == [*known_devices(), "Mine"]
    h100 = found["H100-SXM"]
    assert h100 | {"sources": None} == {
        "matrix_flops_per_s": {
            "bf16": 989_400_000_000_000,
            "fp16": 989_400_000_000_000,
            "tf32": 494_700_000_000_000,
            "fp8": 1_978_900_000_000_000,
            "int8": 1_978_900_000_000_000,
        },
        "vector_flops_per_s": 66_900_000_000_000,
        "memory_bytes": 80_000_000_000,
        "memory_bandwidth_bytes_per_s": 3_350_000_000_000,
        "link_bandwidth_bytes_per_s": 450_000_000_000,
        "ridge_flops_per_byte": str(Fraction(9894, 3350) * 100),
        "sources": None,
    }
    assert len(h100["sources"]) == 2
    assert found["Mine"] == {
        "matrix_flops_per_s": {"fp8": "1000000000000000/3"},
        "vector_flops_per_s": None,
        "memory_bytes": 16 * 2**30,
        "memory_bandwidth_bytes_per_s": 100_000_000_000,
        "link_bandwidth_bytes_per_s": None,
        "ridge_flops_per_byte": None,
        "sources": [],
    }


@pytest.mark.parametrize("how", ["table", "markdown"])
def test_tables_show_every_device_and_source(how, mine, tmp_path):
    done = run("devices", "--devices", mine, "--format", how)
    assert (done.returncode, done.stderr) == (0, "")
    cells = [
        line.replace("│", "|").replace(" ", "").split("|")[1:-1] for line in done.stdout.split("\n")
    ]
    assert ["H100-SXM", "989.4T", "66.90T", "80.00GB", "3.350TB/s", "450.0GB/s", "295.3"] in cells
    assert ["Mine", "–", "–", "17.18GB", "100.0GB/s", "–", "–"] in cells
    assert ["Mine", "–", "–", "–", "333.3T", "–", "–"] in cells
    assert "Mine: no source given" in done.stdout
    for name in known_devices():
        assert f"{name}: " in done.stdout
    written = tmp_path / "out"
    assert run("devices", "--devices", mine, "--format", how, "-o", str(written)).stdout == ""
    assert written.read_text() == done.stdout


def test_tables_fit_a_terminal_of_80_columns():
    def rows(width: int) -> list[str]:
        shown = StringIO()
        console = Console(width=width, file=shown)
        console.print(section_tables(devices_sections(known_devices()), ()))
        return shown.getvalue().splitlines()

    assert rows(80) == rows(160)
    assert rows(70) != rows(160)


@pytest.mark.parametrize(
    ("text", "told"),
    [(MINE.replace("fp8", "fp9"), "device Mine: matrix.fp9 is unknown"), ("[", "is no TOML file")],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path, text, told):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    done = run("devices", "--devices", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {path}")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
