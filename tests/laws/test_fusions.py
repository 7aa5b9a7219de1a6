"""The kernels of serving engines: declared, used, and what each saves, counted by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import groupby

import pytest
import sympy as sp

from symcost.execution import Execution, cost_of
from symcost.graph import Fusion, Graph
from symcost.layers import kernels
from symcost.layers.kernels import FUSIONS
from symcost.models.deepseek_ocr.decoder import decoder_layer
from symcost.models.deepseek_ocr.vision import clip_layer
from symcost.symbols import B, K, N, S, U, w_a, w_kv, w_w
from tests.laws.graphs import GRAPHS, MODEL_GRAPHS, PUBLISHED, graph

DECODER_ROWS = B * S * 1280 * w_a
CLIP_ROWS = B * N * 1024 * w_a


def text_layer(*, routed: bool) -> Graph:
    """A decoder layer on B sequences of S tokens, K of each cached."""
    made = Graph()
    x = made.input("x", B, S, 1280)
    tables = (made.input(name, 1, S, 128) for name in ("cosines", "sines"))
    made.output(decoder_layer(made.root / "layer", PUBLISHED.decoder, x, *tables, routed=routed))
    return made


def view_layer() -> Graph:
    """A layer of CLIP on B views of N tokens."""
    made = Graph()
    made.output(clip_layer(made.root / "layer", PUBLISHED.clip, made.input("x", B, N, 1024)))
    return made


def fused(of: Graph) -> tuple[sp.Expr, sp.Expr]:
    cost = cost_of(of, Execution.FUSED)
    return sp.expand(cost.bytes_read), sp.expand(cost.bytes_written)


def sums_alone(of: Graph, fusion: Fusion) -> Graph:
    """The same operators, where no sum is in a kernel of that kind."""
    apart = [
        replace(op, kernel=None)
        if op.operator == "add" and op.kernel and op.kernel.fusion is fusion
        else op
        for op in of.operations
    ]
    assert apart != of.operations
    return replace(of, operations=apart)


def saved(of: Graph, fusion: Fusion) -> tuple[sp.Expr, sp.Expr]:
    """What sums save that are in a kernel with what is before or behind them."""
    together, apart = fused(of), fused(sums_alone(of, fusion))
    return apart[0] - together[0], apart[1] - together[1]


class TestDeclared:
    def test_each_says_what_it_holds_and_where_it_is_found(self):
        for fusion in FUSIONS:
            assert fusion.name
            assert fusion.holds.strip()
            assert fusion.source.strip()

    def test_names_are_unique_and_those_of_the_module(self):
        named = {name: x for name, x in vars(kernels).items() if isinstance(x, Fusion)}
        assert tuple(named.values()) == FUSIONS
        assert [name.lower() for name in named] == [fusion.name for fusion in FUSIONS]

    def test_the_model_uses_each_of_them_and_no_other(self):
        used = {
            op.kernel.fusion
            for name in MODEL_GRAPHS
            for op in graph(name, "forward").operations
            if op.kernel
        }
        assert used == set(FUSIONS)

    @pytest.mark.parametrize("name", GRAPHS)
    def test_operators_of_a_kernel_follow_each_other(self, name):
        operations = graph(name, "forward").operations
        runs = [kernel for kernel, _ in groupby(op.kernel for op in operations) if kernel]
        assert max(Counter(runs).values(), default=1) == 1

    def test_a_kernel_of_the_model_holds_several_operators(self):
        for name in MODEL_GRAPHS:
            held = Counter(op.kernel for op in graph(name, "forward").operations if op.kernel)
            assert {kernel.fusion.name for kernel, count in held.items() if count < 2} == set()


class TestDecoderLayer:
    def test_with_a_dense_mlp(self):
        """Read, in rows of 1280: norm 1; q, k, v 3; rotary 2; attention 3; o 1; sum and norm 2;
        gate and up together 1; beside the 6848 of down the residual 1. Written: norm 1; q, k, v 3;
        rotary 2; attention 1; o 1; sum and norm 2; down with the residual 1, behind 6848 of gate
        and up.
        """
        read, written = fused(text_layer(routed=False))
        hidden = B * S * 6848 * w_a
        weights = (4 * 1280**2 + 3 * 1280 * 6848 + 2 * 1280) * w_w
        cached = 2 * B * K * 1280 * w_kv
        tables = 2 * S * 128 * w_a
        by_hand = 14 * DECODER_ROWS + hidden + tables + cached + weights
        assert sp.expand(read - by_hand) == 0
        added = 2 * B * S * 1280 * w_kv
        assert sp.expand(written - 11 * DECODER_ROWS - hidden - added) == 0

    def test_with_experts(self):
        """As above up to the second norm. Behind it are read: rows by the router 1, by the experts
        1, by the shared experts 1; and by the last kernel the residual 1 and the routed sum 1,
        beside two times 896 features. Written: the routed sum 1 and the layer's result 1.

        A token has 6 pairs: 896 features of each, and its number (8 bytes) and weight. The router
        hands 64 logits of four bytes from its product to its choice; sorting reads 6 numbers of 8
        bytes and writes token and place, which dispatch (token) and the sum (both) read.
        """
        read, written = fused(text_layer(routed=True))
        tokens = B * S
        pairs = tokens * 6
        router = 64 * 1280 * w_w
        experts = U * 3 * 896 * 1280 * w_w
        shared = 3 * 2 * 896 * 1280 * w_w
        weights = (4 * 1280**2 + 2 * 1280) * w_w + router + experts + shared
        cached, tables = 2 * B * K * 1280 * w_kv, 2 * S * 128 * w_a
        logits, scores = tokens * 64 * 4, pairs * 4
        handed = pairs * 896 * w_a
        both = tokens * 2 * 896 * w_a
        indices = pairs * 8
        by_hand = (
            (12 + 3 + 2) * DECODER_ROWS
            + tables
            + cached
            + weights
            + logits  # read by the choice
            + indices  # numbers, read by the sort
            + indices  # tokens, read by dispatch
            + handed
            + scores
            + 2 * indices  # tokens and places, read by the sum
            + both
        )
        assert sp.expand(read - by_hand) == 0
        by_hand = (
            (10 + 2) * DECODER_ROWS
            + 2 * tokens * 1280 * w_kv
            + logits
            + scores
            + 3 * indices  # numbers, tokens, places
            + handed
            + both
        )
        assert sp.expand(written - by_hand) == 0

    @pytest.mark.parametrize("routed", [False, True])
    def test_a_norm_with_its_residual_saves_a_read_of_the_sum(self, routed):
        found = saved(text_layer(routed=routed), kernels.ADD_RMS_NORM)
        assert found == (sp.expand(DECODER_ROWS), 0)

    def test_a_residual_in_an_epilogue_saves_what_is_added(self):
        """The product's result is neither written nor read; nor is the sum with shared experts."""
        one = sp.expand(DECODER_ROWS)
        assert saved(text_layer(routed=False), kernels.LINEAR_WITH_RESIDUAL) == (one, one)
        assert saved(text_layer(routed=True), kernels.LINEAR_WITH_RESIDUAL) == (2 * one, 2 * one)


class TestClipLayer:
    def test_by_hand(self):
        """Read, in rows of 1024: norm 1; q, k, v 3; attention 3; out 1; sum and norm 2; fc1 1; fc2
        4 of its four times as many features, and the residual 1. Written: norm 1; q, k, v 3;
        attention 1; out 1; sum and norm 2; fc1 4; fc2 with the residual 1.
        """
        read, written = fused(view_layer())
        weights = (4 * (1024**2 + 1024) + 2 * 4096 * 1024 + 4096 + 1024 + 4 * 1024) * w_w
        assert sp.expand(read - 16 * CLIP_ROWS - weights) == 0
        assert sp.expand(written - 13 * CLIP_ROWS) == 0

    def test_what_the_sums_in_kernels_save(self):
        one = sp.expand(CLIP_ROWS)
        assert saved(view_layer(), kernels.ADD_LAYER_NORM) == (one, 0)
        assert saved(view_layer(), kernels.LINEAR_WITH_RESIDUAL) == (one, one)
