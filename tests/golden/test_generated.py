"""What `symcost generate` writes: whole, the same each time, and true."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from fractions import Fraction
from pathlib import Path

import pytest

from symcost.cli import main as program
from symcost.cost import METRICS
from symcost.errors import InputError
from symcost.exact import Evaluator
from symcost.export.json_tree import decode
from symcost.files import write_all
from symcost.models import load
from symcost.models.deepseek_ocr.routing import Routing
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import symbolic_stages
from symcost.render.generate import differences
from symcost.symbols import B, I_g, I_t, K, S, n_h, n_w, w_a, w_kv, w_w

PROJECT = Path(__file__).parents[2]
DOCUMENT = PROJECT / "docs" / "HOLISTIC_ANALYSIS.md"
GENERATED = PROJECT / "generated" / "deepseek_ocr"
EXAMPLE = {
    B: 1, S: 924, K: 924, I_g: 1024, I_t: 640, n_w: 2, n_h: 3, w_w: 2, w_a: 2, w_kv: 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[Path, str | bytes]:
    """What the wheel writes, in another process with its own order of hashes."""
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)],
        cwd=PROJECT,
        capture_output=True,
        check=True,
    )
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "installed")
    code = (
        "import symcost; print(symcost.__file__);"
        "from symcost.cli.main import main; main(['generate', 'deepseek-ocr', '--root', 'written'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        env={
            "PYTHONPATH": str(place / "installed"),
            "PYTHONSAFEPATH": "1",
            "PYTHONHASHSEED": "1",
            "PATH": "",
        },
    )
    assert str(place / "installed") in done.stdout
    assert done.returncode == 0, done.stderr
    root = place / "written"
    return {path.relative_to(root): content(path) for path in root.rglob("*") if path.is_file()}


def content(path: Path) -> str | bytes:
    found = path.read_bytes()
    return found if path.suffix == ".xlsx" else found.decode()


def test_files_on_disk_are_what_is_generated(files):
    assert differences({PROJECT / path: written for path, written in files.items()}) == ""


def test_nothing_else_lies_among_generated_files(files):
    there = {
        path.relative_to(PROJECT)
        for path in (PROJECT / "generated").rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    assert there <= files.keys()


@pytest.mark.parametrize("reference", ["vendor", "transformers"])
@pytest.mark.parametrize("execution", ["eager", "fused", "ideal"])
def test_formulas_on_disk_are_the_models(reference, execution):
    stored = json.loads((GENERATED / f"formulas_{reference}.json").read_text())
    model = load(
        "deepseek-ocr",
        reference=reference,
        execution=execution,
        widths=Widths.SYMBOLIC,
        routing=Routing.SYMBOLIC,
    )

    def compare(values: dict, cost) -> None:
        for metric in METRICS:
            assert decode(values[metric]) == cost.figure(metric)
        assert list(values["parts"]) == list(cost.parts)
        for name, part in cost.parts.items():
            compare(values["parts"][name], part)

    for stage, cost in symbolic_stages(model).items():
        compare(stored["executions"][execution][stage], cost)


def test_the_modules_of_a_stage_add_up_to_it():
    stored = json.loads((GENERATED / "formulas_vendor.json").read_text())
    value = Evaluator(EXAMPLE)
    for stage, modules in stored["modules"].items():
        whole = stored["executions"]["eager"][stage]
        macs = sum(value(decode(module["macs"])) for module in modules.values())
        vector = sum(value(decode(module["vector_flops"])) for module in modules.values())
        assert 2 * macs == value(decode(whole["matrix_flops"]))
        assert vector == value(decode(whole["vector_flops"]))


# The document, read as its reader would: terms recomputed from the LaTeX that is shown.


# One token touches 6 experts; of 924 tokens all but 64 * (29/32)^924 of 64, not half a weight less.
EXPERTS = {"vision": 0, "prefill": 64, "decode": 6}


def numbers_of(term: str, experts: int) -> Fraction:
    """The value of a term from its LaTeX, by plain arithmetic on the example's numbers."""
    names = {
        r"I_g": 1024, r"I_t": 640, r"w_{kv}": 2, r"w_w": 2, r"w_a": 2, r"n_h": 3, "B": 1,
        "C": 6, "S": 924, "K": 924, "U": experts,
    }  # fmt: skip
    text = term.replace("{,}", "")
    text = re.sub(r"\\left\\lceil\{\\frac\{(.*?)\}\{(\d+)\}\}\\right\\rceil", r"ceil(\1|\2)", text)
    text = text.replace(r"\left[I_g \neq 1024\right]", "0")
    text = text.replace(r"\left[I_t \neq 1024\right]", "1")
    text = text.replace(r"\left[C \gt 0\right]", "1")
    text = text.replace(r"\left\lceil{U}\right\rceil", "U")
    below = Fraction(1)
    fraction = re.fullmatch(r"\\frac\{(.*)\}\{(.*)\}", text)
    if fraction:
        text, below = fraction[1], numbers_of(fraction[2], experts)
    value = Fraction(1)
    token = re.compile(
        r"\s*(?:ceil\((?P<over>\w+)\|(?P<by>\d+)\)"
        r"|(?P<name>w_\{kv\}|[A-Za-z]_[a-z]|[A-Z])|(?P<number>-?\d+))(?:\^\{(?P<power>\d+)\})?"
    )
    while text.strip():
        match = token.match(text)
        assert match, f"no term: {text!r} in {term!r}"
        if match["over"]:
            base = Fraction(-(-names[match["over"]] // int(match["by"])))
        else:
            base = Fraction(match["number"] or names[match["name"]])
        value *= base ** int(match["power"] or 1)
        text = text[match.end() :]
    return value / below


def worked_tables() -> list[tuple[str, list[tuple[str, int]], int]]:
    text = DOCUMENT.read_text().split("\n## Worked example")[1].split("\n## What grows how")[0]
    tables = []
    for block in re.split(r"\n(?=\*\*[a-z]+(?: / [a-z_]+)?\*\*)", text)[1:]:
        name = re.match(r"\*\*(.*?)\*\*", block)[1]
        terms = re.findall(r"\| \$(.*)\$ \| (-?[\d,]+) \|", block)
        total = re.search(r"\*\*sum\*\* \| \*\*([\d,]+)\*\*", block)[1]
        tables.append(
            (name, [(t, int(v.replace(",", ""))) for t, v in terms], int(total.replace(",", "")))
        )
    return tables


def test_a_reader_can_recompute_the_worked_example():
    tables = worked_tables()
    assert len(tables) >= 28
    for name, terms, total in tables:
        for term, value in terms:
            assert numbers_of(term, EXPERTS[name.split(" ")[0]]) == value, (name, term)
        assert sum(value for _, value in terms) == total, name


def test_sums_of_the_worked_example_are_those_of_the_report():
    text = DOCUMENT.read_text()
    example = json.loads((GENERATED / "example.json").read_text())["eager"]["stages"]
    for stage, cost in example.items():
        shown = [f"{cost[m]:,}" for m in ("flops", "matrix_flops", "vector_flops", "bytes_read")]
        row = next(line for line in text.splitlines() if line.startswith(f"| {stage} | {shown[0]}"))
        assert row.startswith(f"| {stage} | " + " | ".join(shown))


def test_the_code_of_the_document_runs():
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        done = subprocess.run(
            [sys.executable, "-c", block], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_math_survives_githubs_markdown():
    """A backslash before punctuation, or a pipe inside a table's math, would be eaten."""
    for line in DOCUMENT.read_text().splitlines():
        for formula in re.findall(r"\$([^$]+)\$", line):
            assert not re.search(r"\\[,;:!{}\\|_*]", formula), formula
            assert "|" not in formula, formula


# Writing.


def test_check_tells_what_is_stale(files, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(program, "generated_files", lambda _, __: files)

    def run(*more: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            program.main(["generate", "deepseek-ocr", "--root", str(tmp_path), *more])
        return left.value.code, capsys.readouterr().out

    assert run("--check")[0] == 1
    assert list(tmp_path.iterdir()) == []
    assert run()[0] == 0
    assert run("--check")[0] == 0
    document = tmp_path / "docs" / "HOLISTIC_ANALYSIS.md"
    document.write_text(document.read_text().replace("61{,}440", "61{,}441"))
    code, told = run("--check")
    assert code == 1
    assert "-" in told
    assert "61{,}441" in told


def test_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    write_all({first: "old", second: "old"})

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_all({first: "new", second: "new"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a.txt": "old",
        "b.txt": "old",
    }


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_full_device_is_told_in_a_line():
    with pytest.raises(InputError, match=r"/dev/full cannot be written: .*No space"):
        write_all({Path("/dev/full"): "text" * 10_000})
