"""`symcost report --parallel`: figures of one device, and what it sends."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from symcost.cli.main import main

GIVEN = ("--batch", "8", "--parallel", "tensor=4,expert=2,data=2")


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


def test_degrees_and_exchanges(report):
    found = report(*GIVEN)
    assert found["parallel"] == {"devices": 8, "tensor": 4, "expert": 2, "data": 2}
    assert found["workload"]["batch"] == 8
    assert list(found["collectives"]) == ["vision", "prefill", "decode", "generation"]
    for stage in found["collectives"].values():
        for how in ("ring", "tree"):
            sent = [Fraction(each["sent_bytes"][how]) for each in stage["exchanges"]]
            assert Fraction(stage["sent_bytes"][how]) == sum(sent)
    (features,) = found["collectives"]["vision"]["exchanges"]
    assert features == {
        "path": "model.multi_modal_projector",
        "kind": "all-gather",
        "count": 1,
        "bytes": 4 * 856 * 1280 * 2,
        "group": 4,
        "sent_bytes": dict.fromkeys(("ring", "tree"), 3 * 856 * 1280 * 2),
        "steps": dict.fromkeys(("ring", "tree"), 3),
    }
    summed = found["collectives"]["decode"]["exchanges"][0]
    assert (summed["kind"], summed["bytes"]) == ("all-reduce", 4 * 1280 * 2)
    assert summed["sent_bytes"] == {"ring": 6 * 1280 * 2, "tree": 8 * 1280 * 2}
    assert summed["steps"] == {"ring": 6, "tree": 4}


def test_shares_are_of_the_sequences_that_a_device_has(report):
    """Each of 8 devices looks at one of 8 pages and has a part of 4 sequences."""
    alone, found = report("--batch", "8"), report(*GIVEN)
    vision = found["stages"]["vision"]["flops"]
    assert found["generation"]["per_page"]["flops"] == vision
    assert vision == report()["stages"]["vision"]["flops"]
    request = found["generation"]["per_request"]
    assert Fraction(request["flops"]) == Fraction(found["generation"]["flops"], 4)
    growth = found["generation"]["kv_bytes_per_token"]
    assert growth == 2 * 12 * 3 * 128 * 2  # three of ten heads
    assert alone["generation"]["kv_bytes_per_token"] == 2 * 12 * 10 * 128 * 2


def test_it_is_told_beside_the_table(run):
    _, out, _ = run(*GIVEN, "--format", "markdown")
    assert "batch 8 on 8 devices (tensor=4,expert=2,data=2), figures of the busiest; view of" in out
    assert "* a device sends, with ring all-reduces: 6.574 MB in vision, " in out
    assert "* a device sends, with double binary tree all-reduces: 6.574 MB in vision, " in out
    assert "* routing is taken as balanced: the experts of a device get as many rows as " in out
    assert "* a device's share of a request (prefill of 924 and 1 step behind it): " in out
    assert " of cache on a device\n" in out
    _, side_by_side, _ = run(*GIVEN, "--execution", "all", "--format", "markdown")
    assert "a device sends, with ring all-reduces: 6.574 MB in vision, " in side_by_side


def test_one_device_is_reported_as_it_was(report, run):
    alone = report("--no-image")
    assert report("--no-image", "--parallel", "tensor=1,data=1") == alone
    assert not {"parallel", "collectives"} & alone.keys()
    assert "device" not in run("--no-image", "--format", "markdown")[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--parallel", "many"), "parallel is 'many'; allowed: NAME=DEVICES for "),
        (("--parallel", "tensor=11"), "parallel tensor is 11; allowed: at most the 10 attention"),
        (("--parallel", "expert=2"), "parallel expert is 2; allowed: what divides data=1, whose"),
        (("--parallel", "data=2", "--backward"), "a backward pass is stated for one device only"),
    ],
)
def test_bad_ones_are_told_in_one_line(run, arguments, told):
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    assert told in err
