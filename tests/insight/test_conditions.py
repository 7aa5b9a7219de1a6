"""Conditions as people write them: figures, quantities, and what is refused."""

import pytest
import sympy as sp

import symcost
from symcost.errors import InputError
from symcost.insight.conditions import parse_condition
from symcost.insight.devices import device_named
from symcost.insight.grids import GRIDS, solve_grids
from symcost.insight.roofline import rates
from symcost.insight.subject import Subject
from symcost.models.deepseek_ocr.geometry import crop_grid
from symcost.models.deepseek_ocr.workload import Workload, costs_of
from symcost.symbols import B, T

RATE = rates(device_named("H100-SXM"))


def build(views):
    return symcost.load("deepseek-ocr", views=views, execution="fused")


def of_mode(mode):
    return Workload.from_options(mode=mode, new_tokens=10)


def subject_of(opened):
    return Subject.of("deepseek-ocr", opened, execution="fused", lm_head="all", new_tokens=10)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return subject_of("batch")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("generation.resident_bytes <= 80GB", 80 * 10**9),
        ("generation.resident_bytes<=80 GiB", 80 * 2**30),
        ("prefill.flops > 1.5e12", 15 * 10**11),
        ("prefill.vision.sam.flops < 3 TFLOPs", 3 * 10**12),
        ("ttft <= 200ms", sp.Rational(1, 5)),
        ("tpot == 1/4", sp.Rational(1, 4)),
    ],
)
def test_quantities(subject, text, right):
    condition = parse_condition(text, subject, RATE)
    assert condition.right == right
    assert condition.left.free_symbols - {B, *subject.bindings} == set()


def test_figures_on_both_sides(subject):
    condition = parse_condition("decode.flops >= prefill.vision.flops", subject)
    assert condition.left == subject.costs["decode"].flops
    assert condition.right == subject.costs["prefill"].parts["vision"].flops


def test_attention_and_the_rest_are_the_whole(subject):
    for of in ("prefill", "prefill.decoder", "decode", "vision.clip"):
        shares = [
            subject.figure(f"{of}.{share}.{metric}")[0]
            for metric in ("flops", "bytes_moved")
            for share in ("attention", "rest")
        ]
        wholes = [subject.figure(f"{of}.{metric}")[0] for metric in ("flops", "bytes_moved")]
        assert all(share != 0 for share in shares)
        assert sp.expand(shares[0] + shares[1] - wholes[0]) == 0
        assert sp.expand(shares[2] + shares[3] - wholes[1]) == 0


def test_attention_is_what_grows_with_the_square_of_the_context():
    subject = subject_of("context_len")
    attention, _ = subject.figure("prefill.decoder.attention.matrix_flops")
    whole, _ = subject.figure("prefill.decoder.matrix_flops")
    (symbol,) = attention.free_symbols - {B}
    assert attention == sp.expand(whole).coeff(symbol, 2) * symbol**2


def test_times_are_what_engines_take(subject):
    flops, _ = subject.figure("prefill.matrix_flops")
    moved, _ = subject.figure("prefill.bytes_moved")
    assert subject.figure("prefill.matrix_time", RATE)[0] == flops / sp.Integer(9894 * 10**11)
    assert subject.figure("prefill.memory_time", RATE)[0] == moved / sp.Integer(335 * 10**10)
    tpot, _ = subject.figure("tpot", RATE)
    assert sp.expand(tpot * T - subject.figure("decode.time", RATE)[0]) == 0
    request, ttft = (subject.figure(name, RATE)[0] for name in ("generation.time", "ttft"))
    numbers = {**subject.bindings, B: 3}
    prefill, whole, step = (f.subs(numbers) for f in (ttft, request, tpot))
    assert whole == prefill + 10 * step


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prefill.flops", "allowed: FIGURE OP FIGURE or FIGURE OP QUANTITY"),
        ("prefill.flops <> 3", "allowed: FIGURE OP"),
        ("prefill.flops != 3", "allowed: FIGURE OP"),
        ("3 <= prefill.flops", "allowed: FIGURE OP"),
        ("prefill.flops <= 3GB", "prefill.flops is in FLOPs, 3GB in bytes; compare it with FLOPs"),
        ("prefill.flops <= decode.bytes_read", "compare it with FLOPs"),
        ("prefill.bytes_read <= 3GZ", "unknown unit 'GZ'"),
        ("prefill.bytes_read <= 80Gb", "in bits; write bytes"),
        ("prefill.speed <= 3", "ends in 'speed'; allowed: flops, matrix_flops"),
        ("prefil.flops <= 3", "names 'prefil'; allowed there: vision, prefill"),
        ("prefill.clip.flops <= 3", "names 'clip'; allowed there: vision, decoder, lm_head"),
        ("flops <= 3", "names no stage; allowed: vision"),
        ("attention.flops <= 3", "names no stage"),
        ("huge:vision.flops <= 3", "mode is 'huge'; allowed: tiny"),
        ("ttft <= 3ms", "ttft is a time; give a device"),
    ],
)
def test_what_is_refused(subject, text, told):
    with pytest.raises(InputError, match=f".*{told}".replace("(", r"\(")):
        parse_condition(text, subject)


def test_all_crop_grids_are_those_that_pages_are_cut_into():
    pages = {crop_grid(w, h) for w in range(300, 6000, 90) for h in range(300, 6000, 90)}
    assert pages <= set(GRIDS)
    assert len(GRIDS) == 23


def test_crops_for_which_a_condition_holds():
    """Against costs that are built with each grid as numbers."""
    subject = subject_of("crops")
    condition = parse_condition("vision.flops <= large:vision.flops", subject)
    solution = solve_grids([condition], subject.bindings)

    def flops(**options):
        return symcost.get_vision_cost(build(Workload.from_options(**options).views)).flops

    limit, seen = flops(mode="large"), []
    for grid in solution.grids:
        for columns, rows in grid.shapes:
            left = flops(crop_grid=f"{columns or 1}x{rows or 1}")
            assert grid.sides == ((left, limit),)
            assert grid.holds == (left <= limit)
            seen.append((columns, rows))
    assert sorted(seen) == sorted(GRIDS)
    (boundary,) = solution.boundaries
    by_count = {grid.crops: grid.holds for grid in solution.grids}
    assert (by_count[boundary.holds], by_count[boundary.fails]) == (True, False)


def test_grids_that_their_rows_tell_apart():
    subject = subject_of("crops")
    condition = parse_condition("generation.resident_bytes <= 6.86GB", subject)
    solution = solve_grids([condition], subject.bindings)
    assert solution.boundaries == ()
    for grid in solution.grids[::4]:
        columns, rows = grid.shapes[0]
        options = {"crop_grid": f"{columns or 1}x{rows or 1}", "new_tokens": 10}
        resident = costs_of(build, Workload.from_options(**options)).generation.resident_bytes
        assert grid.sides == ((resident, 6_860_000_000),)
    assert {grid.holds for grid in solution.grids} == {True, False}
