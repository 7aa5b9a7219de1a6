"""`symcost solve`: answers, their formulas, and refusals in one line."""

import json
import re

import pytest

from tests.cli.program import run


def solved(*arguments):
    done = run("solve", "deepseek-ocr", *arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_largest_batch_of_a_device():
    found = solved("--device", "A100-40GB")
    ((first, last),) = found["ranges"]
    (boundary,) = found["boundaries"]
    assert (first, boundary["holds"], boundary["fails"]) == (1, last, last + 1)
    assert boundary["left"][0] <= 40 * 10**9 < boundary["left"][1]
    closed = boundary["closed_form"]
    constant, slope = closed["numbers"]
    assert closed["rounded_down"] == -constant // slope == last
    assert closed["coefficients"][1] == "61440*S + 61440*T + 261120"
    # The numbers are those of a report on that very batch.
    for batch, resident in zip((last, last + 1), boundary["left"], strict=True):
        asked = ("--batch", str(batch), "--new-tokens", "1000", "--format", "json")
        report = run("report", "deepseek-ocr", *asked, "--execution", "ideal", "--lm-head", "last")
        assert json.loads(report.stdout)["generation"]["resident_bytes"] == resident


def test_a_table_tells_the_answer_its_formula_and_its_proof():
    done = run("solve", "deepseek-ocr", "--device", "h100-sxm")
    assert done.returncode == 0
    assert "deepseek-ocr (vendor, ideal, head on the last token), batch ?;" in done.stdout
    assert "batch: 1 to 618" in done.stdout
    text = " ".join(done.stdout.split())
    assert "batch <= (73327787520) / (61440*S + 61440*T + 261120) = 618." in text
    assert "no other batch meets it" in text


def test_several_conditions_at_once():
    found = solved("ttft <= 1s", "tpot <= 20ms", "--device", "A100-40GB")
    ((_, last),) = found["ranges"]
    singles = [solved(text, "--device", "A100-40GB") for text in ("ttft <= 1s", "tpot <= 20ms")]
    assert last == min(single["ranges"][0][1] for single in singles)


def test_lengths_from_which_one_part_does_more_than_another():
    attention = "prefill.decoder.attention.flops >= prefill.decoder.rest.flops"
    found = solved(attention, "--for", "context_len")
    assert found["ranges"] == [[13163, None]]
    assert found["boundaries"][0]["closed_form"]["coefficients"][1] == "62160*B"
    found = solved("prefill.decoder.flops >= prefill.vision.flops", "--for", "context_len")
    assert found["ranges"] == [[3391, None]]
    assert found["boundaries"][0]["closed_form"]["coefficients"][2] == "62160*B"


def test_crops_in_markdown(tmp_path):
    file = tmp_path / "crops.md"
    done = run(
        "solve",
        "deepseek-ocr",
        "vision.flops <= large:vision.flops",
        "--for",
        "crops",
        "--format",
        "markdown",
        "-o",
        str(file),
    )
    assert (done.returncode, done.stdout) == (0, "")
    text = file.read_text(encoding="utf-8")
    assert "**crops: 0, 2**" in text
    assert "| 6 | 1x6, 2x3, 3x2, 6x1 | 3.489 T <= 1.962 T | no |" in text


def test_memory_that_is_no_whole_number_of_gigabytes(tmp_path):
    file = tmp_path / "mine.toml"
    text = (
        '[Mine]\nmatrix = { bf16 = "1 TFLOPS" }\nmemory = "16 GiB"\nmemory_bandwidth = "1 TB/s"\n'
    )
    file.write_text(text)
    found = solved("--device", "Mine", "--devices", str(file))
    assert found["conditions"] == ["generation.resident_bytes <= 17179869184B"]
    assert found["boundaries"][0]["right"] == [2**34, 2**34]


def test_what_is_open_is_null():
    found = solved("vision.flops <= 9TFLOPs", "--for", "base_size")
    workload = found["workload"]
    open_ = {"base_size", "image_tokens", "vision_tokens", "context_len", "cached"}
    assert {name for name, value in workload.items() if value is None} == open_


def test_a_side_in_steps_of_64():
    found = solved("vision.sam.attention.flops >= vision.sam.rest.flops", "--for", "base_size")
    (boundary,) = found["boundaries"]
    assert boundary["holds"] - boundary["fails"] == 64
    assert boundary["closed_form"] is None
    assert "ceiling" in boundary["no_closed_form"]


def test_a_side_from_which_on_tokens_choose_every_expert():
    """The first sides have fewer tokens than that, and no crops."""
    found = solved("ttft <= 100ms", "--for", "base_size", "--mode", "base", "--device", "A100-40GB")
    assert found["ranges"] == [[64, 3136]]


def test_what_is_given_does_not_follow():
    limit = ("prefill.flops <= 8 TFLOPs", "--for", "base_size")
    fixed = solved(*limit, "--context-len", "2000")
    assert fixed["ranges"] == [[64, 1600]]
    for side, holds in ((1600, True), (1664, False)):
        asked = ("--base-size", str(side), "--crop-grid", "2x3", "--context-len", "2000")
        report = run("report", "deepseek-ocr", *asked, "--lm-head", "last", "--format", "json")
        flops = json.loads(report.stdout)["stages"]["prefill"]["flops"]
        assert (flops <= 8 * 10**12) is holds
    growing = solved("decode.bytes_moved <= 2TB", "--for", "context_len")
    assert growing["ranges"] == [[903, 13358]]
    kept = run(
        "solve",
        "deepseek-ocr",
        "decode.bytes_moved <= 2TB",
        "--for",
        "context_len",
        "--cached",
        "924",
    )
    assert "does not depend on context_len" in kept.stderr


def test_another_mode_has_the_same_options():
    found = solved(
        "prefill.flops <= large:prefill.flops", "--for", "crops", "--context-len", "5000"
    )
    by_count = {grid["crops"]: grid for grid in found["grids"]}
    assert by_count[0]["holds"]
    large = run(
        "report",
        "deepseek-ocr",
        "--mode",
        "large",
        "--context-len",
        "5000",
        "--lm-head",
        "last",
        "--format",
        "json",
    )
    flops = json.loads(large.stdout)["stages"]["prefill"]["flops"]
    assert by_count[0]["conditions"][0]["right"] == flops
    # Grids whose tokens do not fit into the context are not asked about.
    short = solved("prefill.flops <= 3 TFLOPs", "--for", "crops", "--context-len", "950")
    assert [3, 3] not in [shape for grid in short["grids"] for shape in grid["crop_grids"]]


def test_the_context_from_which_attention_outweighs_the_experts():
    experts = "prefill.decoder.attention.flops >= prefill.decoder.experts.flops"
    found = solved(experts, "--for", "context_len")
    (boundary,) = found["boundaries"]
    assert boundary["left"][0] >= boundary["right"][0]
    assert boundary["left"][1] < boundary["right"][1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "nothing to solve; give a condition"),
        (["--device", "A100"], "device is 'A100'.* A100-40GB"),
        (["generation.resident_bytes <= 40Gb"], "in bits; write bytes"),
        (["generation.resident_bytes <= 4GB"], "no batch meets .* no larger one meets it"),
        (["vision.weight_bytes <= 4GB"], "does not depend on batch; ask for another size"),
        (["decode.bytes_read >= 1GB"], "every batch of at least 1 meets .* there is no limit"),
        (["ttft <= 1s", "--device", "L4", "--device", "H20"], "--device is given more than once"),
        (["vision.flops <= 3TFLOPs", "--batch", "1000"], "--for batch excludes --batch"),
        (
            ["decode.flops <= 2TFLOPs", "--for", "context_len", "--prompt-tokens", "5"],
            "--for context_len excludes --prompt-tokens",
        ),
        (
            ["decode.flops <= 2TFLOPs", "--for", "crops", "--cached", "924"],
            "not depend on the crops",
        ),
        (
            ["vision.flops <= 3.9TFLOPs", "--for", "crops", "--context-len", "1000"],
            "every crop grid of up to 7 tiles that the context has room for meets",
        ),
        (["decode.link_time <= 1s", "--device", "L4"], "devices exchange nothing there"),
        (["prefill.attention.resident_bytes <= 3GB"], "is a peak, of which attention"),
        (["prefill.decoder.foo.flops <= 3"], "no parts; of every part also attention, experts"),
        (
            ["vision.flops <= 1PFLOPs", "--for", "base_size", "--context-len", "100", "--no-image"],
            "base_size is of an image",
        ),
        (["vision.flops <= 3TFLOPs", "--for", "pages"], "for is 'pages'; allowed: batch, context"),
        (["vision.flops <= 3TFLOPs", "--for", "base_size", "--no-image"], "the workload has none"),
        (["vision.flops <= large:vision.flops", "--no-image"], "there is no page"),
        (["ttft <= 3s", "--device", "L4", "--type", "fp4"], "L4 states no matrix peak for 'fp4'"),
        (["ttft <= 3s", "--device", "L4", "--efficiency", "2"], "allowed: a share above 0"),
        (["ttft <= 3s", "--devices", "none.toml", "--device", "L4"], "none.toml cannot be read"),
    ],
)
def test_refusals(arguments, told):
    done = run("solve", "deepseek-ocr", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(f"error: .*{told}.*\n", done.stderr)
