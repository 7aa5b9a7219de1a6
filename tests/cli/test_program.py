"""The program as a user drives it, good and bad input; in a process of its own where it matters."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from itertools import product
from pathlib import Path

import jsonschema
import pytest

from tests.cli.program import run, run_alone

COST = {
    "type": "object",
    "properties": {
        **{
            name: {"type": "integer", "minimum": 0}
            for name in (
                "flops",
                "matrix_flops",
                "vector_flops",
                "bytes_read",
                "bytes_written",
                "bytes_moved",
                "weight_bytes",
                "activation_bytes",
                "kv_bytes",
                "gradient_bytes",
                "resident_bytes",
            )
        },
        "intensity": {"type": "number", "minimum": 0},
        "activation_path": {"type": "string"},
        "parts": {"type": "object", "additionalProperties": {"$ref": "#/$defs/cost"}},
    },
    "required": ["flops", "matrix_flops", "vector_flops", "intensity", "parts"],
    "additionalProperties": False,
}


def report(*arguments: str) -> dict:
    done = run("report", "deepseek-ocr", "--format", "json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_report_has_the_shape_of_the_architecture():
    shown = report("--image", "1654x2339")
    assert shown["workload"] == {
        "batch": 1,
        "base_size": 1024,
        "tile_size": 640,
        "crop_grid": [2, 3],
        "crops": 6,
        "image_tokens": 903,
        "vision_tokens": 856,
        "context_len": 924,
        "cached": 924,
        "new_tokens": 1,
    }
    assert list(shown) == [
        *("model", "reference", "execution", "workload", "experts", "stages", "generation")
    ]
    assert {name: list(stage["parts"]) for name, stage in shown["stages"].items()} == {
        "vision": ["sam", "clip", "projector"],
        "prefill": ["vision", "decoder", "lm_head"],
        "decode": ["decoder", "lm_head"],
    }
    for stage in shown["stages"].values():
        jsonschema.validate(stage, {"$defs": {"cost": COST}, "$ref": "#/$defs/cost"})
        for cost in (stage, *stage["parts"].values()):
            assert cost["flops"] == cost["matrix_flops"] + cost["vector_flops"]
            moved = cost["bytes_read"] + cost["bytes_written"]
            assert cost["intensity"] == cost["flops"] / moved
        for metric in ("flops", "bytes_read", "bytes_written", "weight_bytes", "kv_bytes"):
            assert stage[metric] == sum(part[metric] for part in stage["parts"].values())


@pytest.mark.parametrize(
    ("arguments", "path", "flops"),
    [
        # The counts of FACTS.md, taken with torch's counter on the vendor's code.
        (["--mode", "base"], ("vision", "sam"), 976_909_172_736),
        (["--mode", "small"], ("vision", "sam"), 325_620_793_344),
        (["--mode", "base"], ("vision", "clip"), 161_715_683_328),
        (["--mode", "base"], ("vision", "projector"), 1_342_177_280),
        (["--no-image", "--context-len", "64"], ("prefill",), 73_735_962_624),
        (["--no-image", "--context-len", "64", "--cached", "64"], ("decode",), 1_152_185_856),
    ],
)
def test_counts_of_the_real_code(arguments, path, flops):
    stage, *parts = path
    cost = report(*arguments)["stages"][stage]
    for part in parts:
        cost = cost["parts"][part]
    assert cost["matrix_flops"] == flops


def test_bytes_of_the_real_projector():
    """FACTS.md, seen by a dispatch mode on the port in bf16: 256 rows of 2048 features."""
    shown = report("--mode", "base", "--reference", "transformers")
    part = shown["stages"]["vision"]["parts"]["projector"]
    assert (part["bytes_read"], part["bytes_written"]) == (6_294_016, 655_360)


def test_text_alone_has_no_vision():
    shown = report("--no-image", "--prompt-tokens", "9")
    assert shown["workload"]["context_len"] == 10
    assert shown["workload"]["base_size"] is None
    vision = shown["stages"]["vision"]
    assert all(vision[metric] == 0 for metric in COST["required"] if metric != "parts")
    assert list(vision["parts"]) == ["sam", "clip", "projector"]


def test_decode_sums_new_tokens():
    one_by_one = [report("--mode", "tiny", "--cached", str(k)) for k in (94, 95, 96)]
    together = report("--mode", "tiny", "--cached", "94", "--new-tokens", "3")["stages"]["decode"]
    for metric in ("flops", "bytes_read", "bytes_written"):
        steps = [shown["stages"]["decode"][metric] for shown in one_by_one]
        assert together[metric] == sum(steps)
    assert together["kv_bytes"] == one_by_one[-1]["stages"]["decode"]["kv_bytes"]


def test_batch_and_width_reach_the_cache():
    # 12 layers, keys and values, 1280 features: 30,720 elements a token.
    shown = report("--mode", "base", "--batch", "3", "--width", "kv=1", "--context-len", "300")
    assert shown["stages"]["prefill"]["kv_bytes"] == 30_720 * 300 * 3
    assert shown["stages"]["decode"]["kv_bytes"] == 30_720 * 301 * 3


def test_the_head_on_the_last_token():
    # One row of 1280 features against 129,280 tokens of the vocabulary.
    part = report("--mode", "base", "--lm-head", "last")["stages"]["prefill"]["parts"]["lm_head"]
    assert part["matrix_flops"] == 2 * 1280 * 129_280


def png(path: Path, width: int, height: int) -> Path:
    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * (width + 1) * height)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


def test_a_page_from_an_image_file(tmp_path):
    page = png(tmp_path / "page.png", 1654, 2339)
    assert report("--image", str(page)) == report("--image", "1654x2339")


BAD = [
    (["--mode", "huge"], "mode is 'huge'; allowed: tiny, small, base, large, gundam"),
    (["--base-size", "1000"], "base-size is 1000; allowed: a positive multiple of 64"),
    (["--base-size", "-64"], "base-size is -64; allowed: a positive multiple of 64"),
    (["--tile-size", "0"], "tile-size is 0; allowed: a positive multiple of 64"),
    (["--crop-grid", "5x2"], "crop-grid is 5x2; allowed: columns x rows of 2 to 9"),
    (["--crop-grid", "0x3"], "crop-grid is 0x3; allowed: columns x rows of 2 to 9"),
    (["--crop-grid", "many"], "crop-grid is 'many'; allowed: COLUMNSxROWS"),
    (["--batch", "0"], "batch is 0; allowed: an integer of at least 1"),
    (["--batch", "-2"], "batch is -2; allowed"),
    (["--batch", "1.5"], "'--batch': it is '1.5'; allowed: an integer"),
    (["--new-tokens", "0"], "new-tokens is 0; allowed"),
    (["--cached", "-1"], "cached is -1; allowed"),
    (["--prompt-tokens", "-1"], "prompt-tokens is -1; allowed"),
    (["--context-len", "0", "--no-image"], "context-len is 0; allowed"),
    (["--context-len", "902"], "context-len is 902; allowed: at least the image's 903 tokens"),
    (["--prompt-tokens", "5", "--context-len", "950"], "--prompt-tokens excludes --context-len"),
    (["--no-image", "--mode", "base"], "--no-image excludes --mode"),
    (["--mode", "base", "--base-size", "640"], "--mode excludes --base-size"),
    (["--image", "none.png"], "'none.png'"),
    (["--image", "page.pgn"], "an image file, and there is no such file"),
    (["--image", "0x100"], "image is '0x100'; both sides must be positive"),
    (["--reference", "other"], "reference is 'other'; allowed: vendor, transformers"),
    (
        ["--execution", "lazy"],
        "execution is 'lazy'; allowed: eager, fused, ideal, or NAME=EXECUTION",
    ),
    (["--lm-head", "first"], "'first' is not one of 'all', 'last'"),
    (["--width", "weights=0"], "width weights is 0; a width is positive"),
    (["--width", "heads=1"], "allowed: NAME=BYTES for weights, activations, kv"),
    (["--width", "kv=two"], "width kv is 'two'"),
    (["--format", "xml"], "'xml' is not one of"),
    (["--bogus"], "No such option: --bogus"),
    (["--config", "none.json"], "none.json is no readable JSON file"),
]


@pytest.mark.parametrize(("arguments", "told"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_told_in_one_line(arguments, told, tmp_path):
    done = run("report", "deepseek-ocr", *arguments, "-o", "out.json", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert told in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_image_that_is_none(tmp_path):
    page = tmp_path / "page.png"
    page.write_bytes(b"no image at all")
    done = run("report", "deepseek-ocr", "--image", str(page))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "page.png" in done.stderr


@pytest.mark.parametrize("command", ["report", "formulas", "generate"])
def test_an_unknown_model(command):
    done = run_alone(command, "gpt-5")
    assert done.returncode == 2
    assert done.stderr == "error: model is 'gpt-5'; allowed: deepseek-ocr\n"


def test_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / "taken").write_text("a file")
    done = run("report", "deepseek-ocr", "-o", "taken/out.md", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert (tmp_path / "taken").read_text() == "a file"


@pytest.mark.parametrize("format_", ["table", "json", "markdown"])
def test_a_file_holds_what_is_printed(format_, tmp_path):
    shown = run("report", "deepseek-ocr", "--format", format_).stdout
    done = run("report", "deepseek-ocr", "--format", format_, "-o", "out", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "out").read_text() == shown


def test_the_readme_shows_what_is_printed():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert run_alone("report", "deepseek-ocr", "--image", "1654x2339").stdout.rstrip() in readme


def test_a_narrow_terminal_shows_every_name_and_number():
    from rich.console import Console

    from symcost.cli.output import report_tables
    from symcost.models import load
    from symcost.models.deepseek_ocr.workload import Workload, costs_of
    from symcost.render.report import Comparison, Report

    workload = Workload.from_options()
    costs = costs_of(lambda views: load("deepseek-ocr", views=views), workload)
    experts = {"assumed": "expected", **costs.experts}
    asked = ("deepseek-ocr", "vendor", "eager", workload.as_dict())
    report = Report(*asked, costs.stages, experts, costs.generation)
    shown_at = product((report, Comparison({"eager": report})), (60, 80, 100, 200))
    for shown, width in shown_at:
        console = Console(width=width)
        with console.capture() as capture:
            console.print(report_tables(shown, width))
        text = capture.get()
        assert "…" not in text
        assert all(cell in text for _, _, cells in shown.rows() for cell in cells)
        assert all(len(line) <= width for line in text.splitlines())


def test_numbers_beyond_every_prefix():
    done = run_alone("report", "deepseek-ocr", "--batch", "1" + "0" * 400)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_link_is_followed(tmp_path):
    target = tmp_path / "target.json"
    target.write_text("old")
    (tmp_path / "link.json").symlink_to(target)
    run("report", "deepseek-ocr", "--format", "json", "-o", "link.json", cwd=tmp_path)
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads(target.read_text())["model"] == "deepseek-ocr"


def test_what_is_no_file_is_written_to():
    done = run_alone("report", "deepseek-ocr", "--format", "json", "-o", "/dev/stdout")
    assert json.loads(done.stdout)["model"] == "deepseek-ocr"
    assert Path("/dev/null").is_char_device()
    run("report", "deepseek-ocr", "-o", "/dev/null")
    assert Path("/dev/null").is_char_device()


def test_formulas_by_stage_and_metric():
    done = run(
        "formulas", "deepseek-ocr", "--stage", "decode", "--metric", "matrix_flops",
        "--metric", "kv_bytes", "--format", "text",
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.splitlines()[:2] == [
        "decode: matrix_flops = B*(61440*K + 1148252160) + 1536",
        "decode: kv_bytes = B*w_kv*(30720*K + 30720)",
    ]


def test_formulas_of_a_module():
    path = "model.language_model.layers.1-11.mlp"
    done = run("formulas", "deepseek-ocr", "--stage", "decode", "--path", path, "--format", "text")
    # 11 layers, 6 experts of 3 x 1280 x 896 and 2 FLOPs: 454,164,480.
    assert f"decode: {path}.experts: matrix_flops = 454164480*B\n" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--stage", "training"], "stage is 'training'; allowed: vision, prefill, decode"),
        (["--metric", "joules"], "metric is 'joules'; allowed: flops, matrix_flops"),
        (["--path", "model.head"], "allowed below model: vision_tower"),
        (["--path", "model.language_model.layers.3"], "allowed below model.language_model.layers"),
    ],
)
def test_formulas_that_do_not_exist(arguments, told):
    done = run("formulas", "deepseek-ocr", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert told in done.stderr


def test_another_configuration(tmp_path):
    from symcost.models.deepseek_ocr import config

    source = Path(config.__file__).with_name("config.json")
    data = json.loads(source.read_text())
    data["language_config"]["vocab_size"] = 1000
    (tmp_path / "config.json").write_text(json.dumps(data))
    shown = report("--mode", "base", "--config", str(tmp_path / "config.json"))
    head = shown["stages"]["decode"]["parts"]["lm_head"]
    assert head["matrix_flops"] == 2 * 1280 * 1000


def test_neither_torch_nor_numpy_is_imported():
    program = (
        "import sys, symcost, symcost.cli.main;"
        "print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
