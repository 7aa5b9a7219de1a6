"""Live activations: moments counted by hand, and what no peak can be below."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from symcost.autodiff import backward
from symcost.cost import Storage
from symcost.exact import Evaluator, as_rational
from symcost.execution import Execution, cost_of, kernels
from symcost.graph import Fusion, Graph, Operation, Scope
from symcost.layers.attention import cached_attention
from symcost.operators import add, cache_append, concat, gelu, linear, scale, silu
from symcost.symbols import CROPS, B, D, F, H, K, N_h, S, n_h, n_w, w_a, w_kv, w_w
from symcost.tensor import Kind, Region, Tensor
from tests.laws.graphs import GRAPHS, cost, draw_point, graph

EAGER, FUSED, IDEAL = Execution
BOTH = Fusion("both", "two operators", "made up")


def moments(of: Graph, execution: Execution) -> list[sp.Expr]:
    """Live elements of activations at each kernel, of whose operators each tells of the same."""
    at = dict(cost_of(of, execution).moments)
    groups = [[at[op.path] for op in kernel.operations] for kernel in kernels(of, execution)]
    assert all(len(set(amounts)) == 1 for amounts in groups)
    return [sp.expand(amounts[0] / w_a) for amounts in groups]


class TestChain:
    """y = x A, z = silu(y), o = z C with x and o of H features, y and z of F."""

    @staticmethod
    def chain() -> Graph:
        made = Graph()
        g = made.root
        y = linear(g / "up", made.input("x", B, H), (g / "up").weight("weight", F, H))
        z = silu(g / "act", y)
        made.output(linear(g / "down", z, (g / "down").weight("weight", H, F)))
        return made

    def test_moments(self):
        # x with y; y with z, x being dead; z with o.
        assert moments(self.chain(), EAGER) == [B * H + B * F, 2 * B * F, B * F + B * H]

    @pytest.mark.parametrize(
        ("rows", "features", "inner", "elements"), [(1, 3, 10, 20), (2, 10, 3, 26), (5, 4, 4, 40)]
    )
    def test_peak(self, rows, features, inner, elements):
        sizes = {B: rows, H: features, F: inner, w_a: 2, w_w: 1}
        assert cost_of(self.chain(), EAGER).evaluate(sizes).activation_bytes == 2 * elements

    def test_in_one_kernel_only_input_and_output_are_live(self):
        assert moments(self.chain(), IDEAL) == [2 * B * H]


class TestResidual:
    """o = x + g(f(x)): x stays until the sum."""

    @staticmethod
    def residual() -> Graph:
        made = Graph()
        x = made.input("x", B, H)
        at = made.root.fused(BOTH)
        made.output(add(made.root / "sum", x, gelu(at / "g", silu(at / "f", x))))
        return made

    def test_what_is_needed_later_stays(self):
        # x and f; x, f and g; x, g and the sum.
        assert moments(self.residual(), EAGER) == [2 * B * H, 3 * B * H, 3 * B * H]

    def test_what_stays_inside_a_kernel_takes_no_memory(self):
        # x and g; x, g and the sum.
        assert moments(self.residual(), FUSED) == [2 * B * H, 3 * B * H]
        assert moments(self.residual(), IDEAL) == [2 * B * H]


def test_inputs_are_live_from_the_start_and_results_to_the_end():
    made = Graph()
    late = made.input("late", B, F)
    first = made.output(silu(made.root / "f", made.input("x", B, H)))
    second = scale(made.root / "g", first)
    made.output(concat(made.root / "both", second, late, dim=-1))
    # x, f and late; f, g and late; f (a result), g, late and both of H + F features.
    assert moments(made, EAGER) == [
        2 * B * H + B * F,
        2 * B * H + B * F,
        3 * B * H + 2 * B * F,
    ]


def test_a_slice_keeps_the_whole():
    made = Graph()
    stacked = silu(made.root / "f", made.input("x", B, 3 * H))
    first = stacked.slice(-1, 0, H)
    made.output(gelu(made.root / "g", first))
    assert moments(made, EAGER) == [6 * B * H, 4 * B * H]


def test_weights_and_cache_are_no_activations():
    made = Graph()
    g = made.root / "attention"
    tables = (made.input(name, 1, S, D) for name in ("cosines", "sines"))
    x = made.input("x", B, S, H)
    made.output(cached_attention(g, x, *tables, cached=K, heads=N_h, kv_heads=N_h, head_size=D))
    # In one kernel x and the result of B S rows of H features and both tables remain.
    assert moments(made, IDEAL) == [2 * B * S * H + 2 * S * D]


def test_what_runs_under_a_condition_is_live_where_it_runs():
    made = Graph()
    g = made.root.when(CROPS)
    table = made.input("table", 5, H)
    made.output(silu(g / "f", table))
    (moment,) = moments(made, EAGER)
    assert moment.xreplace({n_w: sp.Integer(2), n_h: sp.Integer(3)}) == 10 * H
    none = moment.xreplace({n_w: sp.Integer(0), n_h: sp.Integer(0)})
    assert none == 5 * H  # the table is given all the same


def test_of_a_repeated_body_one_run_is_live():
    made = Graph()
    g = made.root.repeat("layers.0-8", 9)
    y = gelu(g / "g", silu(g / "f", made.input("x", B, H)))
    made.output(scale(made.root / "after", y))
    # x and f; x, f and g; g and what comes after. Who calls the body holds x.
    assert moments(made, EAGER) == [2 * B * H, 3 * B * H, 2 * B * H]


class TestNames:
    """What only a name keeps alive: it counts under eager execution and under no other."""

    @staticmethod
    def called(*, held: Callable[[Scope, Tensor], None] = lambda *_: None) -> Graph:
        """o = d(c(b(a(x)))): a, b and c in the module m, d behind it."""
        made = Graph()
        m = made.root / "m"
        y = silu(m / "a", made.input("x", B, H))
        held(m, y)
        z = gelu(m / "c", scale(m / "b", y))
        made.output(scale(made.root / "d", z))
        return made

    def test_a_caller_holds_what_it_passes_on(self):
        # x and a; x, a and b; x, b and c; c and d.
        assert moments(self.called(), EAGER) == [n * B * H for n in (2, 3, 3, 2)]

    def test_what_a_module_makes_itself_dies_with_its_last_use(self):
        assert moments(self.called(), EAGER)[2] == 3 * B * H

    def test_a_name_in_a_module_holds_until_the_module_returns(self):
        named = self.called(held=lambda m, y: m.holds(y))
        assert moments(named, EAGER) == [n * B * H for n in (2, 3, 4, 2)]

    def test_a_name_in_the_caller_holds_until_the_caller_returns(self):
        named = self.called(held=lambda m, y: m.caller.holds(y))
        assert moments(named, EAGER) == [n * B * H for n in (2, 3, 4, 3)]

    def test_a_name_may_hold_until_a_single_operator_has_run(self):
        named = self.called(held=lambda m, y: (m / "b").holds(y))
        assert moments(named, EAGER) == moments(self.called(), EAGER)

    def test_a_name_noted_at_the_end_holds_until_then(self):
        made = self.called()
        made.root.holds(made.operations[0].outputs[0])
        assert moments(made, EAGER) == [n * B * H for n in (2, 3, 4, 3)]

    def test_engines_know_no_names(self):
        named = self.called(held=lambda m, y: m.caller.holds(y))
        assert moments(named, FUSED) == [2 * B * H] * 4
        assert moments(named, IDEAL) == [2 * B * H]

    def test_nor_does_autograd(self):
        # What is saved of four products is let go of one by one, though all run in m.
        made = Graph()
        x = made.input("x", B, H)
        for name in ("a", "b", "c", "d"):
            x = linear(made.root / "m" / name, x, (made.root / name).weight("weight", H, H))
        made.output(x)
        found = moments(backward(made), EAGER)
        assert found == [n * B * H for n in (6, 6, 5, 5, 4, 4, 3, 3)]

    def test_names_move_nothing(self):
        named = cost_of(self.called(held=lambda m, y: m.caller.holds(y)), EAGER)
        assert named.bytes_moved == cost_of(self.called(), EAGER).bytes_moved

    def test_a_second_call_of_the_same_module_is_another_one(self):
        made = Graph()
        m = made.root / "m"
        y = silu(m / "a", made.input("x", B, H))
        z = gelu(made.root / "between", y)
        made.output(scale(m / "a", z))
        assert moments(made, EAGER) == [2 * B * H] * 3

    def test_a_list_of_modules_is_not_called(self):
        made = Graph()
        layers = made.root / "layers"
        y = silu(layers / "0" / "a", made.input("x", B, H))
        z = silu(layers / "1" / "b", silu(layers / "1" / "a", y))
        made.output(silu(made.root / "after", silu(layers / "2" / "a", z)))
        # In layer 1 there are what it is given, a and b; the list holds nothing.
        assert moments(made, EAGER) == [n * B * H for n in (2, 2, 3, 2, 2)]


class TestCache:
    """Keys of N tokens behind K cached ones, in rows of H features."""

    @staticmethod
    def appended() -> Graph:
        made = Graph()
        at = made.root / "attention"
        new = scale(at / "new", made.input("x", B, S, H))
        made.output(
            gelu(
                at / "use",
                cache_append(
                    at / "keys", at.cached("keys", B, K, H, width=w_kv), new, dim=1, width=w_kv
                ),
            )
        )
        return made

    def test_while_the_cache_is_copied_its_old_place_is_memory_beside_it(self):
        _, (_, moment), _ = cost_of(self.appended(), EAGER).moments
        assert moment == 2 * B * S * H * w_a + B * K * H * w_kv

    def test_where_it_stays_in_place_it_has_no_other(self):
        _, (_, moment), _ = cost_of(self.appended(), FUSED).moments
        assert moment == B * S * H * w_a


class TestBackward:
    """The backward pass of nine layers y = silu(x W), one after the other."""

    @staticmethod
    def gradients() -> Graph:
        made = Graph()
        g = made.root.repeat("layers.0-8", 9)
        x = made.input("x", B, H, differentiable=False)
        made.output(silu(g / "act", linear(g / "proj", x, g.weight("weight", H, H))))
        return backward(made)

    @pytest.mark.parametrize("execution", list(Execution))
    def test_at_the_start_all_runs_have_saved_what_they_need(self, execution):
        # Each of nine products keeps its result for the gradient of silu.
        at_start = moments(self.gradients(), execution)[0]
        assert at_start.coeff(H, 1).coeff(B, 1) >= 9

    @pytest.mark.parametrize("execution", list(Execution))
    def test_gradients_of_weights_are_held_for_all_runs_and_are_no_activations(self, execution):
        cost = cost_of(self.gradients(), execution)
        assert cost[Storage(Kind.GRADIENT)].amount == 9 * H**2 * w_a
        assert all(moment.coeff(H, 2) == 0 for moment in moments(self.gradients(), execution))


def allocations(operation: Operation, kept: set[Region]) -> dict[Region, sp.Expr]:
    """What one run of an operator has before it and makes, in bytes by allocation."""
    sizes: dict[Region, dict[Region, sp.Expr]] = {}
    for piece in (*operation.reads, *operation.writes):
        root = piece.region.root
        if root.kind is Kind.ACTIVATION and root not in kept:
            sizes.setdefault(root, {})[piece.region] = piece.region.elements * root.width
    return {
        root: sp.Min(root.elements * root.width, sp.Add(*parts.values()))
        for root, parts in sizes.items()
    }


@cache
def needs(name: str, direction: str) -> frozenset[sp.Expr]:
    """Bytes that single operators need, where they run at all; gradients of weights left out."""
    whole, found = graph(name, direction), set()
    kept = {piece.region.root for tensor in whole.kept for piece in tensor.pieces}
    for operation in whole.operations:
        needed = sp.Add(*allocations(operation, kept).values())
        for loop in operation.loops:
            needed = loop.times(needed) if loop.condition is not None else needed
        found.add(needed)
    return frozenset(found)


@cache
def peak_of(name: str, direction: str) -> sp.Expr:
    return as_rational(cost(name, direction, EAGER).activation_bytes)


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("direction", ["forward", "backward"])
@settings(max_examples=25)
@given(data=st.data())
def test_no_peak_is_below_what_one_operator_reads_and_makes(name, direction, data):
    value = Evaluator(draw_point(data, name))
    assert value(peak_of(name, direction)) >= max(map(value, needs(name, direction)), default=0)
