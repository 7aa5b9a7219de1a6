"""Eager traffic against real runs: equal, or different by what is declared and no byte else."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from symcost.cost import Direction
from symcost.operators import OPERATORS
from symcost.stages import Stage
from symcost.verify import byte_counter, operator_classes
from symcost.verify.byte_verification import Bench, ByteVerification
from symcost.verify.eager import eager_shares
from symcost.verify.grid import QUICK_BYTES, page, text
from symcost.verify.operator_classes import (
    CLASSES,
    DECLARED,
    IN_EXPERTS,
    class_of_rule,
    class_of_torch,
)
from symcost.verify.traffic import Observation, disagreeing, gaps, known_more

torch.set_num_threads(1)

READ, WRITTEN = Direction
PREFILL, DECODE = Stage.PREFILL, Stage.DECODE


@pytest.fixture(scope="module")
def bench():
    return Bench("deepseek-ocr")


@pytest.fixture(scope="module")
def seen(bench):
    """Small runs that between them show every difference that is declared."""
    return {
        # A view of CLIP's trained side, and two tiles of one feature in one column.
        "page of one": bench.decode(PREFILL, page(1024, 1, (1, 2), tile=64)),
        # Two pages put together, of 28 x 28 patches: four whole windows.
        "pages": bench.decode(PREFILL, page(448, 2)),
        # A view of 4 x 4 patches is a single window.
        "window": bench.see(page(64, 1)),
        "text": bench.decode(PREFILL, text(2, 3)),
        "text on a cache": bench.decode(PREFILL, text(1, 2, 3)),
        "step": bench.decode(DECODE, text(2, 1, 3)),
        "experts": bench.route(2),
    }


def wrong(bench: Bench, observation: Observation) -> list:
    stated = observation.stated(bench.shares[observation.key])
    return disagreeing(observation, stated, observation.counted())


def problems(bench: Bench, observation: Observation) -> list[str]:
    result = ByteVerification("deepseek-ocr", QUICK_BYTES)
    result.book(observation, bench.shares[observation.key])
    return result.problems


def test_nothing_differs_but_by_what_is_declared(bench, seen):
    for observation in seen.values():
        assert wrong(bench, observation) == []
        found = gaps(observation, bench.shares[observation.key])
        assert all(gap.is_known for gap in found)
        assert all(gap.declared for gap in found)


def test_every_module_is_compared_in_both_directions(bench, seen):
    for name, module in (
        ("window", "model.vision_tower.sam_encoder.layers.0.attn.qkv"),
        ("window", "model.multi_modal_projector"),
        ("pages", "model"),
        ("text", "model.language_model.layers.11.mlp.gate"),
        ("step", "lm_head"),
        ("experts", "model.language_model.layers.1.mlp.experts"),
    ):
        keys = seen[name].counted()
        assert {direction for path, _, direction in keys if path == module} == {READ, WRITTEN}
    runs = [seen[name] for name in ("page of one", "text", "step")]
    assert all(run.modules == runs[0].modules for run in runs)
    assert len(runs[0].modules) > 600


def test_a_modules_own_bytes_do_not_hold_those_inside_it(seen):
    """All of the model's classes add up to what ran; the routed experts are left out of them."""
    run = seen["text"]
    totals = Counter()
    for (_, _, direction), amount in run.counted().items():
        totals[direction] += amount
    experts = [f"model.language_model.layers.{layer}.mlp.experts" for layer in range(1, 12)]
    for direction, moved in ((READ, run.moved.read), (WRITTEN, run.moved.written)):
        assert totals[direction] == moved.of("") - sum(map(moved.of, experts))


def test_a_layers_products_by_hand(seen):
    """Two sequences of three tokens through q_proj of 1280 x 1280, two bytes each."""
    key = ("model.language_model.layers.5.self_attn.q_proj", "product")
    counted = seen["text"].counted()
    assert counted[*key, READ] == 2 * (2 * 3 * 1280 + 1280**2)
    assert counted[*key, WRITTEN] == 2 * (2 * 3 * 1280)


class TestDeclared:
    def places(self, known, observation: Observation) -> set[tuple[str, Direction]]:
        """Where a difference is declared for a run."""
        return {
            (module, direction)
            for module in observation.modules
            for direction in Direction
            if known
            in operator_classes.declared(module, known.kind, direction, observation.workload)
        }

    @pytest.mark.parametrize("index", range(len(DECLARED)), ids=lambda i: DECLARED[i].reason[:50])
    def test_each_is_needed_wherever_it_is_declared(self, bench, seen, monkeypatch, index):
        known = DECLARED[index]
        without = DECLARED[:index] + DECLARED[index + 1 :]
        monkeypatch.setattr(operator_classes, "DECLARED", without)
        shown = 0
        for observation in seen.values():
            off = wrong(bench, observation)
            assert {kind for _, kind, _ in off} <= {known.kind}
            with monkeypatch.context() as context:
                context.setattr(operator_classes, "DECLARED", DECLARED)
                places = self.places(known, observation)
            assert {(module, direction) for module, _, direction in off} == places
            shown += len(places)
        assert shown

    @pytest.mark.parametrize("index", range(len(DECLARED)), ids=lambda i: DECLARED[i].reason[:50])
    def test_each_is_right_to_the_byte(self, bench, seen, monkeypatch, index):
        known = DECLARED[index]
        off = replace(known, more=lambda workload, way: known.more(workload, way) + 1)
        changed = (*DECLARED[:index], off, *DECLARED[index + 1 :])
        monkeypatch.setattr(operator_classes, "DECLARED", changed)
        assert any(wrong(bench, observation) for observation in seen.values())

    def test_a_difference_of_a_byte_is_no_declared_one(self, bench, seen):
        observation = seen["pages"]
        shares = bench.shares[observation.key]
        (share, *_) = [s for s in shares if s.rule == "masked_scatter" and s.direction is READ]
        changed = [replace(share, amount=share.amount + 1), *(s for s in shares if s is not share)]
        (gap,) = [g for g in gaps(observation, changed) if not g.is_known]
        assert (gap.module, gap.kind, gap.direction) == ("model", "movement", READ)
        # The counted side is below the stated one by what tiles and marks are declared to be.
        assert gap.difference + known_more(("model", "movement", READ), gap.workload) == 1


class TestWhatIsReported:
    def test_an_operator_of_no_class(self, bench):
        def tangent(_, given):
            return (torch.tan(given[0]),)

        hook = bench._real.meta.lm_head.register_forward_pre_hook(tangent)
        try:
            observation = bench.decode(PREFILL, text(2, 3))
        finally:
            hook.remove()
        # 2 x 3 rows of 1280 features in two bytes.
        read, written = problems(bench, observation)
        for problem, way in ((read, "read"), (written, "written")):
            assert problem.startswith(
                f"lm_head: bytes {way} by tan: stated 0 (nothing), counted 15,360 "
                "(aten.tan 15,360), difference -15,360 ("
            )

    def test_a_counter_that_reads_twice(self, bench, monkeypatch):
        right = byte_counter._everything
        monkeypatch.setitem(
            byte_counter.READS, torch.ops.aten.mm, lambda given, made: 2 * right(given, made)
        )
        found = problems(bench, bench.decode(PREFILL, text(2, 3)))
        weights, rows = 2 * 1280**2, 2 * 2 * 3 * 1280
        told = weights + rows
        (problem,) = [p for p in found if p.startswith("model.language_model.layers.7.self_attn.q")]
        assert problem.startswith(
            "model.language_model.layers.7.self_attn.q_proj: bytes read by product: stated "
            f"{told:,} (linear q_proj {told:,}), counted {2 * told:,} (aten.mm {2 * told:,}), "
            f"difference -{told:,} ("
        )
        assert all("bytes read by product" in problem for problem in found)
        # Each layer's four of attention; three of a dense MLP; eleven routers, and three of shared
        # experts each; the head.
        assert len(found) == 12 * 4 + 3 + 11 * (1 + 3) + 1

    @pytest.mark.parametrize("rule", ["softmax", "masked_scatter", "cache_append", "linear"])
    def test_a_rule_that_writes_twice(self, bench, seen, rule):
        observation = seen["pages"] if rule == "masked_scatter" else seen["text on a cache"]
        shares = [
            replace(share, amount=2 * share.amount)
            if (share.rule, share.direction) == (rule, WRITTEN)
            else share
            for share in bench.shares[observation.key]
        ]
        unknown = [gap for gap in gaps(observation, shares) if not gap.is_known]
        assert unknown
        for gap in unknown:
            assert gap.direction is WRITTEN
            assert any(name.startswith(f"{rule} ") for name in gap.rules)
            ours = sum(by for name, by in gap.rules.items() if name.startswith(f"{rule} "))
            assert (
                gap.difference + known_more((gap.module, gap.kind, gap.direction), gap.workload)
                == ours / 2
            )
            assert 0 < gap.share <= 1

    def test_the_wrong_number_of_experts(self, bench, seen):
        observation = replace(seen["experts"], experts=seen["experts"].experts + 1)
        off = wrong(bench, observation)
        experts = "model.language_model.layers.1.mlp.experts"
        assert {(module, kind) for module, kind, _ in off} == {
            (experts, "product"),
            (experts, "routing"),
        }


class TestClasses:
    def test_an_operator_is_of_one_class(self):
        for names in ("rules", "torch"):
            given = [name for kind in CLASSES for name in getattr(kind, names)]
            assert len(given) == len(set(given))
        assert len({kind.name for kind in (*CLASSES, IN_EXPERTS)}) == len(CLASSES) + 1

    def test_every_rule_of_the_model_has_a_class(self, bench):
        names = {kind.name for kind in (*CLASSES, IN_EXPERTS)}
        shares = [share for each in bench.shares.values() for share in each]
        assert {class_of_rule(share.rule, share.path) for share in shares} == names

    def test_every_operator_of_a_run_has_a_class(self, seen):
        names = {kind.name for kind in (*CLASSES, IN_EXPERTS)}
        assert {kind for run in seen.values() for _, kind, _ in run.counted()} == names

    def test_every_rule_and_operator_that_is_named_exists(self):
        for kind in (*CLASSES, IN_EXPERTS):
            assert set(kind.rules) <= set(OPERATORS)
            assert all(hasattr(torch.ops.aten, name) for name in kind.torch)

    def test_within_routed_experts_a_chain_is_one_class_but_for_products(self):
        inside = "model.language_model.layers.1.mlp.experts"
        assert class_of_rule("mul", inside) == "routing" != class_of_rule("mul", "lm_head")
        assert class_of_torch("aten.index", inside) == "routing"
        assert class_of_torch("aten.index", "model") == "lookup"
        assert class_of_rule("grouped_linear", inside) == class_of_torch("aten.mm", inside)
        assert class_of_torch("aten.tan", "lm_head") == "tan"
        shared = "model.language_model.layers.1.mlp.shared_experts"
        assert class_of_torch("aten.silu", shared) == "pointwise"


def test_shares_are_of_one_of_the_equal_layers(bench):
    """Eleven layers stand on one path: each reads 64 x 1280 weights of its router."""
    graphs = bench.graphs[PREFILL, False]
    path = "model.language_model.layers.1-11.mlp.gate.weight_to_float32"
    read, written = [s for s in eager_shares(graphs) if s.path == path]
    assert (read.direction, written.direction) == (READ, WRITTEN)
    sizes = text(1, 1).bindings
    assert read.amount.xreplace(sizes) == 64 * 1280 * Fraction(2)
    assert written.amount.xreplace(sizes) == 64 * 1280 * 4
