"""Operators: one rule each, errors that name what does not fit, and the cache."""

from __future__ import annotations

import pytest
import sympy as sp

from symcost.autodiff import backward
from symcost.cost import Direction, Traffic
from symcost.errors import OperatorError, ShapeError
from symcost.execution import Execution, cost_of
from symcost.graph import Graph, Scope
from symcost.operators import (
    OPERATORS,
    Rule,
    add,
    cache_append,
    combine,
    concat,
    conv2d,
    einsum,
    gather,
    grouped_linear,
    layer_norm,
    linear,
    matmul,
    mul,
    operator,
    softmax,
    top_k,
)
from symcost.symbols import (
    FLOAT32_WIDTH,
    INDEX_WIDTH,
    B,
    D,
    E,
    F,
    H,
    K,
    M,
    N,
    N_h,
    P,
    S,
    c_i,
    c_o,
    k,
    n,
    w_a,
    w_kv,
    w_w,
)
from symcost.tensor import Kind, Tensor


class TestRegistry:
    @pytest.mark.parametrize("name", ["linear", "softmax_backward", "cache_append"])
    def test_a_second_rule_of_a_name_is_refused(self, name):
        first = OPERATORS[name]

        def rule(x: Tensor) -> Rule:
            raise NotImplementedError

        rule.__name__ = name
        with pytest.raises(OperatorError, match=f"'{name}' has a rule already"):
            operator(torch="aten.something")(rule)
        assert OPERATORS[name] is first

    @pytest.mark.parametrize("name", OPERATORS)
    def test_every_operator_is_explained(self, name):
        made = OPERATORS[name]
        assert made.name == name
        assert made.torch
        # Vector work has a number per element, the elements and a reason; without it, nothing.
        assert bool(made.flops_per_element) == bool(made.unit) == bool(made.reason)


def _x(g: Scope, *shape, name: str = "x") -> Tensor:
    return g.graph.input(name, *shape)


def _y(g: Scope, *shape) -> Tensor:
    return g.graph.input("y", *shape)


MISFITS = {
    "linear: inner size": (linear, lambda g: (_x(g, B, H), _y(g, F, D))),
    "linear: bias": (linear, lambda g: (_x(g, B, H), _y(g, F, H), _x(g, H, name="bias"))),
    "matmul: inner size": (matmul, lambda g: (_x(g, B, S, H), _y(g, B, F, S))),
    "matmul: batch": (matmul, lambda g: (_x(g, B, S, H), _y(g, N_h, H, S))),
    "matmul: rank": (matmul, lambda g: (_x(g, B, S, H), _y(g, H, S))),
    "einsum: size": (einsum, lambda g: ("bc,kc->bk", _x(g, B, H), _y(g, S, D))),
    "conv2d: channels": (conv2d, lambda g: (_x(g, B, c_i, n, n), _y(g, c_o, c_o, P, P))),
    "grouped_linear: inner size": (grouped_linear, lambda g: (_x(g, B, H), _y(g, E, F, D))),
    "add: sizes": (add, lambda g: (_x(g, B, S, H), _y(g, B, S, F))),
    "mul: sizes": (mul, lambda g: (_x(g, B, S), _y(g, S, S))),
    "layer_norm: weight": (
        layer_norm,
        lambda g: (_x(g, B, H), _y(g, F), _x(g, H, name="bias")),
    ),
    "concat: sizes": (concat, lambda g: (_x(g, B, S, H), _y(g, N, S, H))),
    "cache_append: heads": (cache_append, lambda g: (_x(g, B, N_h, K, D), _y(g, B, M, S, D))),
    "combine: pairs": (combine, lambda g: (_x(g, B, H), _y(g, B, k))),
}
NAMED = {
    "grouped_linear": {"experts": E},
    "concat": {"dim": 1},
    "cache_append": {"dim": 2, "width": w_kv},
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_sizes_that_do_not_fit_name_path_operator_and_both_tensors(misfit):
    called, arguments = MISFITS[misfit]
    g = Graph().root / "model" / "layers.3" / "here"
    given = arguments(g)
    tensors = [t for t in given if isinstance(t, Tensor)]
    if misfit == "linear: bias":
        tensors = tensors[1:]
    with pytest.raises(ShapeError) as error:
        called(g, *given, **NAMED.get(called.name, {}))
    text = str(error.value)
    assert text.startswith(f"model.layers.3.here: {called.name}: ")
    for tensor in tensors[:2]:
        assert f"{tensor.name} (" in text
        assert "(" + ", ".join(map(str, tensor.shape)) + ")" in text


@pytest.mark.parametrize("misfit", MISFITS)
def test_what_was_refused_leaves_no_trace(misfit):
    called, arguments = MISFITS[misfit]
    graph = Graph()
    with pytest.raises(ShapeError):
        called(graph.root / "here", *arguments(graph.root), **NAMED.get(called.name, {}))
    assert graph.operations == []


def test_ranks_that_do_not_fit_name_both_shapes():
    g = Graph().root
    with pytest.raises(ShapeError, match=r"here: concat: \(B, S\) and \(B, S, H\) differ"):
        concat(g / "here", _x(g, B, S), _y(g, B, S, H), dim=1)
    with pytest.raises(ShapeError, match=r"here: einsum: 'bc' does not name .*\(B, S, H\)"):
        einsum(g / "here", "bc,kc->bk", _x(g, B, S, H), _y(g, S, H))


class TestResults:
    """What an operator makes: shape, width, and whether a gradient flows."""

    @pytest.mark.parametrize(
        ("made", "shape"),
        [
            (lambda g: linear(g, _x(g, B, S, H), _y(g, F, H)), (B, S, F)),
            (lambda g: matmul(g, _x(g, B, S, H), _y(g, B, H, F)), (B, S, F)),
            (
                lambda g: einsum(g, "bhwc,hkc->bhwk", _x(g, B, n, M, D), _y(g, n, S, D)),
                (B, n, M, S),
            ),
            (lambda g: add(g, _x(g, B, 1, H), _y(g, S, 1)), (B, S, H)),
            (lambda g: concat(g, _x(g, B, S, H), _y(g, B, N, H), dim=1), (B, S + N, H)),
            (
                lambda g: conv2d(g, _x(g, B, 3, 64, 64), _y(g, 8, 3, 16, 16), stride=16),
                (B, 8, 4, 4),
            ),
            # (64 + 2 - 3) // 2 + 1 = 32 places
            (
                lambda g: conv2d(g, _x(g, B, 3, 64, 64), _y(g, 8, 3, 3, 3), stride=2, padding=1),
                (B, 8, 32, 32),
            ),
            (lambda g: gather(g, _x(g, N, H), _y(g, B, k)), (B, k, H)),
        ],
        ids=["linear", "matmul", "einsum", "add", "concat", "patches", "stride", "gather"],
    )
    def test_shapes(self, made, shape):
        assert made(Graph().root / "here").shape == shape

    def test_a_softmax_has_the_width_that_it_is_given(self):
        g = Graph().root
        assert softmax(g / "here", _x(g, B, S), width=FLOAT32_WIDTH).width == FLOAT32_WIDTH

    def test_what_is_made_of_weights_alone_is_an_activation(self):
        g = Graph().root / "here"
        made = add(g, g.weight("a", H), g.weight("b", H))
        assert (made.width, made.region.kind) == (w_a, Kind.ACTIVATION)

    def test_the_best_scores_come_with_their_positions(self):
        g = Graph().root
        best, positions = top_k.outputs(g / "here", _x(g, B, E), count=k)
        assert (best.shape, positions.shape) == ((B, k), (B, k))
        assert (best.width, positions.width) == (w_a, INDEX_WIDTH)
        assert (best.differentiable, positions.differentiable) == (True, False)

    def test_no_gradient_flows_from_indices(self):
        graph = Graph()
        ids = graph.input("ids", B, differentiable=False)
        assert not add(graph.root / "here", ids, ids).differentiable


class TestCache:
    """Keys of N_h heads of size D: K that are cached, S that are new."""

    @staticmethod
    def attention(*, fused: bool) -> Graph:
        graph = Graph()
        g = graph.root / "self_attn"
        at = g.fused("flash_attention") if fused else g
        new = graph.input("new", B, N_h, S, D)
        past = g.cached("keys", B, N_h, K, D, width=w_kv)
        keys = cache_append(at / "keys", past, new, dim=2, width=w_kv)
        query = graph.input("query", B, N_h, S, D)
        graph.output(matmul(at / "scores", query, keys.transposed))
        return graph

    @staticmethod
    def elements(graph: Graph, path: str, execution: Execution, direction: Direction) -> sp.Expr:
        """What an operator moves, divided by the N_h D features of each token of each sequence."""
        cost = cost_of(graph, execution).at(path)
        total = sum(
            cost[Traffic(kind, direction)].amount.xreplace(
                {w_kv: sp.Integer(1), w_a: sp.Integer(1)}
            )
            for kind in Kind
        )
        return sp.expand(total / (B * N_h * D))

    def test_the_reference_copies_the_whole_cache(self):
        graph = self.attention(fused=False)
        path = "self_attn.keys"
        assert self.elements(graph, path, Execution.EAGER, Direction.READ) == K + S
        assert self.elements(graph, path, Execution.EAGER, Direction.WRITTEN) == K + S
        # The product then reads the query and the cache of K + S keys again.
        scores = self.elements(graph, "self_attn.scores", Execution.EAGER, Direction.READ)
        assert scores == K + 2 * S

    @pytest.mark.parametrize("execution", [Execution.FUSED, Execution.IDEAL])
    def test_a_kernel_that_attends_writes_the_new_entries_only(self, execution):
        cost = cost_of(self.attention(fused=True), execution)
        assert cost[Traffic(Kind.KV, Direction.WRITTEN)].amount == B * N_h * S * D * w_kv
        assert cost[Traffic(Kind.KV, Direction.READ)].amount == B * N_h * K * D * w_kv
        # New keys and queries come from outside, the scores (S queries by K + S keys) go there.
        read = cost[Traffic(Kind.ACTIVATION, Direction.READ)].amount
        assert read == 2 * B * N_h * S * D * w_a
        written = cost[Traffic(Kind.ACTIVATION, Direction.WRITTEN)].amount
        assert sp.expand(written - B * N_h * S * (K + S) * w_a) == 0

    def test_new_entries_are_written_though_nothing_reads_them(self):
        graph = Graph()
        g = graph.root / "self_attn"
        past = g.cached("keys", B, N_h, K, D, width=w_kv)
        cache_append(g / "keys", past, graph.input("new", B, N_h, S, D), dim=2, width=w_kv)
        for execution in Execution:
            written = cost_of(graph, execution)[Traffic(Kind.KV, Direction.WRITTEN)].amount
            assert written == B * N_h * S * D * w_kv

    @pytest.mark.parametrize("execution", list(Execution))
    def test_the_cache_holds_all_entries_afterwards(self, execution):
        cost = cost_of(self.attention(fused=True), execution)
        assert sp.expand(cost.kv_bytes - B * N_h * (K + S) * D * w_kv) == 0

    def test_an_empty_cache_costs_nothing(self):
        cost = cost_of(self.attention(fused=False), Execution.EAGER).bind({K: 0})
        assert cost.at("self_attn.keys").bytes_written == B * N_h * S * D * w_kv
        assert cost[Traffic(Kind.KV, Direction.READ)].amount == B * N_h * S * D * w_kv

    def test_the_gradient_of_the_cache_is_that_of_its_new_entries(self):
        gradients = backward(self.attention(fused=False)).outputs
        assert {gradient.shape for gradient in gradients} == {(B, N_h, S, D)}
        assert len(gradients) == 2  # of the query and of the new keys


class TestGradients:
    def test_the_gradient_of_a_product_reads_both_factors(self):
        graph = Graph()
        x, weight = graph.input("x", B, H), (graph.root / "proj").weight("weight", F, H)
        graph.output(linear(graph.root / "proj", x, weight))
        cost = cost_of(backward(graph), Execution.EAGER)
        # dx = dy W reads dy and W, dW = dy' x reads dy and x.
        assert cost.macs == 2 * B * F * H
        assert sp.expand(cost.bytes_read - (2 * B * F * w_a + B * H * w_a + F * H * w_w)) == 0
        assert sp.expand(cost.bytes_written - (B * H * w_a + F * H * w_a)) == 0

    def test_gradients_of_a_tensor_that_is_used_twice_are_added(self):
        graph = Graph()
        x = graph.input("x", B, H)
        graph.output(mul(graph.root / "square", x, x))
        # Two products of B H elements, and their sum.
        assert cost_of(backward(graph), Execution.EAGER).vector_flops == 3 * B * H

    def test_the_gradient_of_a_repeated_operand_is_summed(self):
        graph = Graph()
        graph.output(add(graph.root / "bias", graph.input("x", B, H), graph.input("b", H)))
        gradients = backward(graph)
        assert sorted(str(gradient.shape) for gradient in gradients.outputs) == ["(B, H)", "(H,)"]
        assert cost_of(gradients, Execution.EAGER).vector_flops == B * H

    def test_the_gradient_of_the_best_scores_goes_to_their_positions(self):
        graph = Graph()
        graph.output(top_k(graph.root / "top_k", graph.input("scores", B, E), count=k))
        cost = cost_of(backward(graph), Execution.EAGER)
        # The gradient and the positions of B k scores are read, zeros with them are written.
        assert sp.expand(cost.bytes_read - B * k * (w_a + INDEX_WIDTH)) == 0
        assert cost.bytes_written == B * E * w_a
