"""`symcost report`: its keys, what a request and a page take, all executions, the backward pass."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from symcost.cli.main import main

COUNTS = (
    *("flops", "matrix_flops", "vector_flops", "bytes_read", "bytes_written", "bytes_moved"),
    *("weight_bytes", "activation_bytes", "kv_bytes", "gradient_bytes", "resident_bytes"),
)
SPENT = COUNTS[:5]
STAGES = ["vision", "prefill", "decode"]
EXECUTIONS = ["eager", "fused", "ideal"]
KV = 2 * 12 * 1280 * 2
"""Bytes of the cache for a token: keys and values of 12 layers of 1280 features, two bytes each."""


@pytest.fixture
def run(capsys):
    def ran(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leaving:
            main(["report", "deepseek-ocr", *arguments])
        printed = capsys.readouterr()
        return leaving.value.code, printed.out, printed.err

    return ran


@pytest.fixture
def report(run):
    def reported(*arguments: str) -> dict:
        code, out, err = run("--format", "json", *arguments)
        assert (code, err) == (0, "")
        return json.loads(out)

    return reported


def all_costs(cost: dict) -> list[dict]:
    """A cost and those of its parts."""
    return [cost, *(inner for part in cost["parts"].values() for inner in all_costs(part))]


def check(cost: dict) -> None:
    """What the architecture says of every cost."""
    assert list(cost) == [*COUNTS, "intensity", "activation_path", "parts"]
    assert {type(cost[name]) for name in COUNTS} == {int}
    assert cost["flops"] == cost["matrix_flops"] + cost["vector_flops"]
    moved = cost["bytes_read"] + cost["bytes_written"]
    assert cost["intensity"] == (cost["flops"] / moved if moved else 0)
    held = ("weight_bytes", "kv_bytes", "gradient_bytes", "activation_bytes")
    assert cost["resident_bytes"] == sum(cost[name] for name in held)
    for part in cost["parts"].values():
        check(part)
    if cost["parts"]:
        parts = list(cost["parts"].values())
        for name in (*SPENT, "weight_bytes", "kv_bytes", "gradient_bytes"):
            assert cost[name] == sum(part[name] for part in parts)
        assert cost["activation_bytes"] == max(part["activation_bytes"] for part in parts)
        assert cost["resident_bytes"] >= max(part["resident_bytes"] for part in parts)


@pytest.mark.parametrize("batch", ["1", "8"])
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_counts_are_exact_integers(report, batch, execution):
    found = report("--batch", batch, "--execution", execution)
    assert list(found["stages"]) == STAGES
    for stage in found["stages"].values():
        check(stage)


class TestExperts:
    @pytest.mark.parametrize(
        ("batch", "decode"),
        # 64 (1 - (58/64)^8) in whole weights of 1280 x 896 = 1,146,880.
        [("1", 6), ("8", str(Fraction(40_005_269, 1_146_880)))],
    )
    def test_they_are_what_is_expected(self, report, batch, decode):
        expected = report("--batch", batch)["experts"]
        assert expected == {"assumed": "expected", "prefill": 64, "decode": decode}

    def test_they_are_what_is_told(self, report):
        given = ("--batch", "8", "--no-image", "--experts")
        assert report(*given, "least")["experts"] == {"assumed": "least", "prefill": 6, "decode": 6}
        assert report(*given, "most")["experts"] == {"assumed": "most", "prefill": 64, "decode": 48}
        assert report(*given, "prefill=1,decode=0.55")["experts"] == {
            "assumed": "prefill=1,decode=11/20",
            "prefill": 64,
            "decode": "176/5",
        }

    def test_a_step_reads_their_weights(self, report):
        """11 layers of three matrices of 1280 by 896: two bytes each."""
        given = ("--batch", "8", "--no-image", "--execution", "ideal", "--experts")
        read = {
            name: report(*given, name)["stages"]["decode"]["bytes_read"]
            for name in ("least", "most")
        }
        one = 11 * 3 * 1280 * 896 * 2
        assert read["most"] - read["least"] == (48 - 6) * one

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("many", "experts is 'many'; allowed: expected, most, least, a measured fraction of "),
            ("1.5", "experts is '1.5'; allowed"),
            ("decode=0", "experts is 'decode=0'; allowed"),
            ("vision=1", "or STAGE=VALUE for prefill, decode, such as decode=0.55"),
            ("0.01", "experts is 0.01, 0.64 of 64; allowed for 924 tokens in a call: 6 to 64 of"),
            ("0.55", "experts is 0.55, 35.2 of 64; allowed for 1 tokens in a call: 6 to 6 of 64"),
        ],
    )
    def test_bad_ones_are_told_in_one_line(self, run, text, told):
        code, out, err = run("--experts", text)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith("error: ")
        assert told in err


class TestWidths:
    def test_experts_of_four_bits(self, report):
        """64 experts of 11 layers of three matrices, half a byte and a scale: exact integers."""
        before, after = (
            report("--no-image", "--width", width)["stages"]["decode"]
            for width in ("kv=2", "experts.weights=1/2+2/128")
        )
        weights = 11 * 64 * 3 * 1280 * 896
        assert before["weight_bytes"] - after["weight_bytes"] == weights * 2 - weights * 33 // 64
        check(after)

    def test_what_is_no_whole_number_of_bytes_is_told_as_it_is(self, report):
        """9 tokens of 30,720 elements in the cache: 3 divides the bytes, 7 does not."""
        given = ("--no-image", "--prompt-tokens", "8", "--width")
        found = report(*given, "kv=1/7")["stages"]["prefill"]["kv_bytes"]
        assert found == str(Fraction(9 * 30_720, 7))
        assert report(*given, "kv=1/3")["stages"]["prefill"]["kv_bytes"] == 9 * 10_240

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("experts.weights=0", "width experts.weights is 0; a width is positive"),
            ("experts.weights=-1/2", "width experts.weights is -1/2; a width is positive"),
            ("experts.kv=1", "allowed: NAME=BYTES for weights, activations, kv, vision.weights, "),
            ("lm_head.weights=x", "width lm_head.weights is 'x'; allowed: NAME=BYTES"),
        ],
    )
    def test_bad_ones_are_told_in_one_line(self, run, text, told):
        code, out, err = run("--width", text)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert told in err


class TestGeneration:
    KEYS = (*COUNTS, "intensity", "activation_path", "kv_bytes_per_token")

    @pytest.mark.parametrize("batch", [1, 3, 8])
    def test_a_request_and_a_page(self, report, batch):
        found = report("--mode", "base", "--batch", str(batch), "--new-tokens", "10")
        whole, stages = found["generation"], found["stages"]
        assert list(whole) == [*self.KEYS, "per_request", "per_page"]
        for name in SPENT:
            assert whole[name] == stages["prefill"][name] + stages["decode"][name]
        # 273 image tokens, 20 of the prompt and one at the beginning; 10 more.
        assert whole["kv_bytes"] == stages["decode"]["kv_bytes"] == batch * 304 * KV
        assert whole["kv_bytes_per_token"] == KV
        assert whole["weight_bytes"] == stages["prefill"]["weight_bytes"]
        peaks = [stages[name]["activation_bytes"] for name in ("prefill", "decode")]
        assert whole["activation_bytes"] == max(peaks)

        def share(cost: dict, *names: str) -> Fraction:
            return Fraction(sum(cost[name] for name in names), batch)

        moved = ("bytes_read", "bytes_written")
        request = {name: Fraction(amount) for name, amount in whole["per_request"].items()}
        assert request == {
            "flops": share(whole, "flops"),
            "bytes_moved": share(whole, *moved),
            "kv_bytes": 304 * KV,
        }
        page = {name: Fraction(amount) for name, amount in whole["per_page"].items()}
        assert page == {
            "image_tokens": 273,
            "vision_tokens": 256,
            "flops": share(stages["vision"], "flops"),
            "bytes_moved": share(stages["vision"], *moved),
            "kv_bytes": 273 * KV,
        }
        counts = ("image_tokens", "vision_tokens", "kv_bytes")
        assert {type(whole["per_page"][name]) for name in counts} == {int}

    def test_flops_of_a_request_do_not_depend_on_the_batch(self, report):
        """The port's: the vendor's code multiplies matrices of angles once for the whole batch."""
        one, eight = (
            report("--mode", "tiny", "--reference", "transformers", "--batch", batch)["generation"]
            for batch in ("1", "8")
        )
        matrix = [found["matrix_flops"] for found in (one, eight)]
        assert matrix[1] == 8 * matrix[0]
        assert one["per_page"]["kv_bytes"] == eight["per_page"]["kv_bytes"] == 73 * KV

    def test_text_alone_has_no_page(self, report):
        found = report("--no-image", "--new-tokens", "5")
        assert found["generation"]["per_page"] is None
        assert found["generation"]["per_request"]["kv_bytes"] == 26 * KV
        assert found["generation"]["flops"] == sum(
            found["stages"][name]["flops"] for name in ("prefill", "decode")
        )

    def test_a_decode_stage_that_begins_elsewhere_is_not_the_answers(self, report):
        given = ("--no-image", "--prompt-tokens", "8", "--new-tokens", "4")
        here, elsewhere = report(*given), report(*given, "--cached", "100")
        assert here["generation"] == elsewhere["generation"]
        assert here["generation"]["kv_bytes"] == 13 * KV
        assert elsewhere["stages"]["decode"]["kv_bytes"] == 104 * KV

    @pytest.mark.parametrize("format_", ["table", "markdown"])
    def test_it_stands_beside_the_table(self, run, format_):
        code, out, _ = run("--mode", "base", "--batch", "2", "--format", format_)
        told = " ".join(out.split())
        assert code == 0
        assert "activations are most in vision at model.vision_tower.sam_encoder.layers." in told
        # 64 (1 - (58/64)²) = 11.4375 experts of two tokens.
        assert "experts that a layer reads (expected): 64 in a prefill, 11.44 in a decode" in told
        assert "a request (prefill of 294 and 1 step behind it): " in told
        assert f"18.12 MB of cache, {KV / 1000:.2f} kB per token" in told  # 295 x 61,440
        assert "a page: 273 tokens (256 without newlines and separator), " in told

    def test_text_alone_tells_no_page_beside_the_table(self, run):
        _, out, _ = run("--no-image")
        assert "a request (" in out
        assert "a page:" not in out


class TestAllExecutions:
    def test_json_holds_each_report(self, report):
        found = report("--mode", "tiny", "--execution", "all")
        assert list(found) == EXECUTIONS
        for name in EXECUTIONS:
            assert found[name] == report("--mode", "tiny", "--execution", name)

    def test_they_do_the_same_and_move_less_and_less(self, report):
        found = report("--execution", "all", "--batch", "2")
        eager, fused, ideal = (
            [cost for stage in found[name]["stages"].values() for cost in all_costs(stage)]
            for name in EXECUTIONS
        )
        for costs in zip(eager, fused, ideal, strict=True):
            for same in ("flops", "weight_bytes", "kv_bytes"):
                assert len({cost[same] for cost in costs}) == 1
            for less in ("bytes_read", "bytes_written"):
                amounts = [cost[less] for cost in costs]
                assert amounts == sorted(amounts, reverse=True)
        # A part of the one kernel of a stage has all around it that the stage is given and makes.
        for stage in STAGES:
            live = [found[name]["stages"][stage]["activation_bytes"] for name in EXECUTIONS]
            assert live == sorted(live, reverse=True)

    def test_a_table_and_markdown_hold_all_columns(self, run):
        _, table, _ = run("--mode", "tiny", "--execution", "all")
        code, markdown, _ = run("--mode", "tiny", "--execution", "all", "--format", "markdown")
        assert code == 0
        title, _, header, aligned, *rows, _, note = markdown.splitlines()
        assert title.startswith("deepseek-ocr (vendor), batch 1; view of 512 px, no crops: ")
        columns = [
            f"{what} {name}"
            for what in ("moved", "FLOPs/byte", "activations")
            for name in EXECUTIONS
        ]
        assert header == "| " + " | ".join(["", *columns]) + " |"
        assert aligned == "| --- |" + " ---: |" * 9
        # Three stages; vision with its parts twice; decoder and head twice.
        assert len(rows) == 3 + 3 + (1 + 3) + 2 + 2
        assert note == "* FLOPs, weights and the cache are the same under every execution"
        for row in rows:
            for cell in row.strip("|").split("|")[1:]:
                assert cell.strip().replace("&nbsp;", " ") in table
        assert all(name in table for name in EXECUTIONS)

    @pytest.mark.parametrize("text", ["All", "all,eager", "vision=all", "all=eager"])
    def test_it_stands_alone(self, run, text):
        code, out, err = run("--execution", text)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"error: execution is {text!r}; allowed: eager, fused, ideal")

    def test_formulas_are_of_one_execution(self, capsys):
        with pytest.raises(SystemExit) as leaving:
            main(["formulas", "deepseek-ocr", "--execution", "all"])
        assert leaving.value.code == 2
        assert "execution is 'all'; allowed" in capsys.readouterr().err


class TestBackward:
    def test_it_is_of_vision_and_prefill(self, report):
        found = report("--mode", "tiny", "--backward")
        assert list(found["stages"]) == ["vision", "prefill"]
        assert "generation" not in found
        # Of 94 tokens each misses an expert with 58/64; rounded to whole weights of a matrix.
        assert list(found["experts"]) == ["assumed", "prefill"]
        off = Fraction(found["experts"]["prefill"]) - 64 * (1 - Fraction(58, 64) ** 94)
        assert abs(off) <= Fraction(1, 2 * 1280 * 896)
        for stage in found["stages"].values():
            check(stage)

    def test_each_weight_has_a_gradient(self, report):
        """In two bytes, as the weights; of the port all have one."""
        found = report("--mode", "tiny", "--backward", "--reference", "transformers")["stages"]
        prefill = found["prefill"]
        assert prefill["gradient_bytes"] == prefill["weight_bytes"] == 2 * 3_335_504_128
        for cost in all_costs(prefill):
            assert cost["gradient_bytes"] == cost["weight_bytes"]
        resident = prefill["resident_bytes"] - prefill["activation_bytes"]
        assert resident == 2 * (2 * 3_335_504_128)

    def test_a_weight_that_never_runs_has_none(self, report):
        """The vendor's CLIP holds a convolution of 14 x 14 patches, 1024 x 3 of them."""
        parts = report("--mode", "tiny", "--backward")["stages"]["vision"]["parts"]
        unused = {
            name: part["weight_bytes"] - part["gradient_bytes"] for name, part in parts.items()
        }
        assert unused == {"sam": 0, "clip": 1024 * 3 * 14 * 14 * 2, "projector": 0}

    def test_gradients_have_the_width_of_activations(self, report):
        """The head's 1280 x 129,280 weights in one byte, their gradients in four."""
        given = ("--no-image", "--backward", "--width", "activations=4,weights=1")
        head = report(*given)["stages"]["prefill"]["parts"]["lm_head"]
        assert head["weight_bytes"] == 1280 * 129_280
        assert head["gradient_bytes"] == 4 * 1280 * 129_280

    def test_products_are_twice_those_of_the_forward_pass(self, report):
        """But for pixels, which need no gradient: 768 x 3 x 16 x 16 for each of 32 x 32 patches."""
        given = ("--mode", "tiny", "--reference", "transformers")
        forward, back = (
            report(*given, *more)["stages"]["vision"]["matrix_flops"]
            for more in ((), ("--backward",))
        )
        assert back == 2 * forward - 2 * 768 * 3 * 16**2 * 32**2

    def test_text_alone(self, report):
        found = report("--no-image", "--backward")["stages"]
        assert found["vision"]["flops"] == found["vision"]["resident_bytes"] == 0
        assert found["prefill"]["gradient_bytes"] == found["prefill"]["weight_bytes"] > 0

    def test_under_all_executions(self, report):
        found = report("--mode", "tiny", "--backward", "--execution", "all")
        for name in EXECUTIONS:
            assert list(found[name]["stages"]) == ["vision", "prefill"]
        held = {found[name]["stages"]["prefill"]["gradient_bytes"] for name in EXECUTIONS}
        assert len(held) == 1

    @pytest.mark.parametrize("format_", ["table", "markdown"])
    def test_its_title_and_notes(self, run, format_):
        code, out, _ = run("--mode", "tiny", "--backward", "--format", format_)
        told = " ".join(out.split())
        assert code == 0
        assert "73 image tokens; backward pass of a prefill of 94" in told
        assert "activations are most in vision at model.vision_tower." in told
        assert "experts that a layer reads (expected): 63.99 in a prefill" in told
        assert "decode" not in told.partition("activations are most")[2]
        assert "a request" not in told

    @pytest.mark.parametrize("steps", [("--cached", "5"), ("--new-tokens", "10")])
    def test_steps_have_none(self, run, steps):
        code, out, err = run("--backward", *steps)
        assert (code, out) == (2, "")
        assert err == "error: --backward excludes --cached and --new-tokens; no step has one\n"
