"""The command sensitivity, as its users drive it."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from tests.cli.program import run


def sensitivity(*arguments: str, code: int = 0) -> str:
    done = run("sensitivity", "deepseek-ocr", *arguments)
    assert done.returncode == code, done.stderr
    if code:
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        return done.stderr
    return done.stdout


def test_json_is_exact():
    """A step is B·(61440·K + 1148252160) + 1536 matrix FLOPs: the README's formula."""
    shown = sensitivity(
        "decode.matrix_flops", "--batch", "8", "--cached", "500", "--format", "json"
    )
    found = json.loads(shown)["figures"]["decode.matrix_flops"]
    assert found["value"] == 8 * (61440 * 500 + 1148252160) + 1536
    by_symbol = {entry["symbol"]: entry for entry in found["sensitivities"]}
    assert list(by_symbol) == ["B", "K", "T"]
    assert by_symbol["K"]["derivative"]["text"] == "61440*B*T"
    assert by_symbol["K"]["derivative_value"] == by_symbol["K"]["difference"] == 8 * 61440
    assert Fraction(by_symbol["K"]["elasticity"]) == Fraction(8 * 61440 * 500, found["value"])
    assert by_symbol["B"]["difference"] == 61440 * 500 + 1148252160
    second = 8 * (61440 * 501 + 1148252160) + 1536
    assert by_symbol["T"]["difference"] == second
    assert sum(Fraction(term["share"]) for term in found["dominant_terms"]) == 1
    assert {e["symbol"]: e["degree"] for e in found["growth"]} == {"B": 1, "K": 1, "T": 2}


def test_the_table_tells_sizes_formulas_and_terms():
    shown = sensitivity("prefill.decoder.flops", "decode.bytes_moved", "--width", "kv=1/2")
    assert "prefill.decoder.flops: 809.1 GFLOPs" in shown
    assert "B*(124320*S + 818201716) + 7680" in shown
    assert "none: contains (29/32)**B" in shown
    assert "sizes are independent" in shown
    row = next(line for line in shown.splitlines() if line.startswith("│ w_kv"))
    assert [cell.strip() for cell in row.strip("│").split("│")][1] == "1/2"
    assert "prefill.decoder.flops grows as S**2, by 62160*B*S**2" in shown


def test_markdown_has_formulas_in_latex(tmp_path):
    file = tmp_path / "told.md"
    assert sensitivity("decode.flops", "--format", "markdown", "-o", str(file)) == ""
    assert "| K | $62{,}160 B T$ | $K$ | $K$ >= $18{,}489$ |" in file.read_text(encoding="utf-8")


def test_parts_of_widths_and_text_alone_are_taken():
    shown = sensitivity(
        "prefill.lm_head.weight_bytes",
        "vision.flops",
        *("--no-image", "--width", "lm_head.weights=1", "--format", "json"),
    )
    found = json.loads(shown)["figures"]
    assert found["prefill.lm_head.weight_bytes"]["value"] == 1280 * 129280
    assert found["prefill.lm_head.weight_bytes"]["sensitivities"] == []
    assert found["vision.flops"]["value"] == 0
    assert "vision.flops: 0 FLOPs" in sensitivity("vision.flops", "--no-image")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("flops",), "names no stage"),
        (("prefill.speed",), "ends in 'speed'"),
        (("decode.flops", "--experts", "decode=0.9"), "experts is 0.9"),
        (("decode.flops", "--context-len", "5"), "context-len is 5"),
        (("decode.flops", "--width", "kv=0"), "width"),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments, told):
    assert told in sensitivity(*arguments, code=2)
