"""Traffic of graphs made by hand: what crosses the border of a kernel, and how often.

The tensors are x of B rows and H features unless a test says otherwise, so `ROWS` is the size of
each in bytes; expectations count the arrows that cross a border in a drawing of the graph.
"""

from __future__ import annotations

import pytest
import sympy as sp

from symcost.autodiff import backward
from symcost.cost import Cost, Direction, Storage, Traffic
from symcost.execution import Execution, cost_of
from symcost.graph import Fusion, Graph
from symcost.operators import (
    add,
    concat,
    copy,
    crop,
    embedding,
    gelu,
    interpolate_bicubic,
    layer_norm,
    linear,
    mul,
    scale,
    silu,
)
from symcost.symbols import CROPS, INDEX_WIDTH, B, F, H, S, V, differs, n, n_0, n_h, n_w, w_a, w_w
from symcost.tensor import Kind

EAGER, FUSED, IDEAL = Execution
BOTH = Fusion("both", "two operators", "made up")
ROWS = B * H * w_a


def traffic(graph: Graph, execution: Execution) -> tuple[sp.Expr, sp.Expr]:
    cost = cost_of(graph, execution)
    return cost.bytes_read, cost.bytes_written


def same(a: tuple[sp.Expr, ...], b: tuple[sp.Expr, ...]) -> bool:
    return all(sp.expand(x - y) == 0 for x, y in zip(a, b, strict=True))


def at_crops(cost: Cost, columns: int, rows: int) -> Cost:
    return cost.bind({n_w: columns, n_h: rows})


class TestOneKernel:
    def test_what_is_written_and_read_inside_causes_no_traffic(self):
        graph = Graph()
        at = graph.root.fused(BOTH)
        graph.output(gelu(at / "g", silu(at / "f", graph.input("x", B, H))))
        # Eager: x and f(x) are read, f(x) and the result written. Fused: x in, the result out.
        assert traffic(graph, EAGER) == (2 * ROWS, 2 * ROWS)
        assert traffic(graph, FUSED) == (ROWS, ROWS)
        assert traffic(graph, IDEAL) == (ROWS, ROWS)

    def test_what_is_also_read_outside_is_written(self):
        graph = Graph()
        x = graph.input("x", B, H)
        at = graph.root.fused(BOTH)
        inner = silu(at / "f", x)
        graph.output(gelu(at / "g", inner))
        graph.output(scale(graph.root / "h", inner))
        # The kernel reads x and writes f(x) and g; h reads f(x) and writes its own.
        assert traffic(graph, FUSED) == (2 * ROWS, 3 * ROWS)
        assert traffic(graph, IDEAL) == (ROWS, 2 * ROWS)

    def test_a_result_is_written_though_the_kernel_reads_it_itself(self):
        graph = Graph()
        at = graph.root.fused(BOTH)
        inner = graph.output(silu(at / "f", graph.input("x", B, H)))
        graph.output(gelu(at / "g", inner))
        assert traffic(graph, FUSED) == (ROWS, 2 * ROWS)
        assert traffic(graph, IDEAL) == (ROWS, 2 * ROWS)

    def test_what_two_operators_read_is_read_once(self):
        graph = Graph()
        x = graph.input("x", B, H)
        at = graph.root.fused(BOTH)
        graph.output(mul(at / "product", silu(at / "f", x), gelu(at / "g", x)))
        # Eager: x for f, x for g, then both results.
        assert traffic(graph, EAGER) == (4 * ROWS, 3 * ROWS)
        assert traffic(graph, FUSED) == (ROWS, ROWS)

    def test_two_views_of_a_tensor_are_read_once(self):
        graph = Graph()
        x = graph.input("x", B, H)
        graph.output(add(graph.root / "sum", x.reshape(1, B, H), x))
        assert traffic(graph, EAGER) == (ROWS, ROWS)

    def test_halves_of_a_tensor_are_a_whole(self):
        graph = Graph()
        first, second = graph.input("x", B, 2 * H).split(-1, H, H)
        at = graph.root.fused(BOTH)
        graph.output(mul(at / "product", silu(at / "f", first), second))
        assert traffic(graph, EAGER) == (3 * ROWS, 2 * ROWS)
        assert traffic(graph, FUSED) == (2 * ROWS, ROWS)

    def test_a_slice_costs_nothing_beside_the_whole(self):
        graph = Graph()
        x = graph.input("x", B, 2 * H)
        at = graph.root.fused(BOTH)
        graph.output(concat(at / "both", silu(at / "f", x), x.slice(-1, 0, H), dim=-1))
        # The whole of 2 H features is read, and f(x) with the slice written behind it.
        assert traffic(graph, FUSED) == (2 * ROWS, 3 * ROWS)

    def test_a_slice_that_is_cut_twice_is_read_once(self):
        graph = Graph()
        x = graph.input("x", B, 3 * H)
        graph.output(mul(graph.root / "product", x.slice(-1, H, H), x.slice(-1, H, H)))
        assert traffic(graph, EAGER) == (ROWS, ROWS)

    def test_slices_of_other_places_are_read_each(self):
        graph = Graph()
        x = graph.input("x", B, 3 * H)
        graph.output(mul(graph.root / "product", x.slice(-1, 0, H), x.slice(-1, H, H)))
        assert traffic(graph, EAGER) == (2 * ROWS, ROWS)

    def test_a_slice_is_read_in_full_beside_a_corner_of_the_whole(self):
        graph = Graph()
        x = graph.input("x", B, 3)
        at = graph.root.fused(BOTH)
        corner = crop(at / "corner", x, shape=(B, sp.Integer(1)))
        graph.output(add(at / "sum", x.slice(-1, 0, 2), corner))
        read, written = traffic(graph, FUSED)
        assert written == 2 * B * w_a
        # Two columns at least, whether or not the corner lies in them.
        assert (read / (B * w_a)) in (2, 3)

    def test_half_of_a_tensor_is_half_of_it(self):
        graph = Graph()
        x = graph.input("x", B, 4)
        graph.output(crop(graph.root / "corner", x, shape=(B, sp.Integer(2))))
        assert traffic(graph, EAGER) == (2 * B * w_a, 2 * B * w_a)

    def test_a_corner_of_a_corner_is_read_once(self):
        graph = Graph()
        x = graph.input("x", B, 5)
        at = graph.root.fused(BOTH)
        for columns in (1, 2):
            graph.output(crop(at / f"corner {columns}", x, shape=(B, sp.Integer(columns))))
        assert traffic(graph, EAGER) == (3 * B * w_a, 3 * B * w_a)
        assert traffic(graph, FUSED) == (2 * B * w_a, 3 * B * w_a)

    @pytest.mark.parametrize("side", [7, 8])
    def test_a_table_is_read_once_whether_it_is_resized_or_not(self, side):
        """At the trained side of 8 the sum reads the table, else the operator that resizes it."""
        graph = Graph()
        g = graph.root / "positions"
        table = g.weight("table", 1, n_0, n_0, H)
        grid = interpolate_bicubic(
            g / "resize", table, shape=(sp.Integer(1), n, n, H), needed=differs(n, n_0)
        )
        graph.output(add(g / "sum", graph.input("x", 1, n, n, H), grid))
        trained, wanted = 8 * 8 * H, side * side * H
        for execution in Execution:
            cost = cost_of(graph, execution).bind({n: side, n_0: 8})
            assert cost[Traffic(Kind.WEIGHT, Direction.READ)].amount == trained * w_w
        eager = cost_of(graph, EAGER).bind({n: side, n_0: 8})
        resized = 0 if side == 8 else wanted * w_a
        # The reference casts a table that it resizes to float32, and the result back.
        casts = 0 if side == 8 else 4 * (trained + wanted)
        # The sum writes its result, and the resized table is written and read where there is one.
        moved = wanted * w_a + resized + casts
        assert sp.expand(eager.bytes_written - moved) == 0
        activations = eager[Traffic(Kind.ACTIVATION, Direction.READ)].amount
        assert sp.expand(activations - moved) == 0

    def test_only_the_reference_has_scratch(self):
        """Its LayerNorm writes two figures of each row in float32; a serving engine's does not."""
        graph = Graph()
        x = graph.input("x", B, H)
        weights = (graph.root.weight(name, H) for name in ("weight", "bias"))
        graph.output(layer_norm(graph.root / "norm", x, *weights))
        written = {e: cost_of(graph, e).bytes_written for e in Execution}
        assert sp.expand(written[EAGER] - written[FUSED] - 2 * 4 * B) == 0
        assert written[FUSED] == written[Execution.IDEAL] == B * H * w_a

    def test_two_calls_of_the_same_label_are_two_kernels(self):
        graph = Graph()
        first, second = graph.root.fused("same"), graph.root.fused("same")
        graph.output(gelu(second / "g", silu(first / "f", graph.input("x", B, H))))
        assert traffic(graph, FUSED) == (2 * ROWS, 2 * ROWS)

    def test_weights_are_traffic_of_their_own_kind_and_width(self):
        graph = Graph()
        g = graph.root / "layer"
        graph.output(linear(g, graph.input("x", B, H), g.weight("weight", F, H)))
        cost = cost_of(graph, EAGER)
        assert cost[Traffic(Kind.WEIGHT, Direction.READ)].amount == F * H * w_w
        assert cost[Traffic(Kind.ACTIVATION, Direction.READ)].amount == ROWS
        assert cost[Traffic(Kind.ACTIVATION, Direction.WRITTEN)].amount == B * F * w_a
        assert cost[Traffic(Kind.WEIGHT, Direction.WRITTEN)].amount == 0

    def test_of_a_table_only_the_rows_that_are_looked_up_are_read(self):
        graph = Graph()
        g = graph.root / "table"
        ids = graph.input("ids", B, S, width=INDEX_WIDTH, differentiable=False)
        graph.output(embedding(g, g.weight("weight", V, H), ids))
        read, written = traffic(graph, IDEAL)
        assert sp.expand(read - (B * S * H * w_w + 8 * B * S)) == 0
        assert written == B * S * H * w_a
        assert cost_of(graph, IDEAL).weight_bytes == V * H * w_w


class TestRepeats:
    """x W, three times over, each time with weights of its own."""

    @staticmethod
    def chain(*, consumed: bool) -> Graph:
        graph = Graph()
        g = graph.root.repeat("layers.0-2", 3)
        y = linear(g / "proj", graph.input("x", B, H), g.weight("weight", H, H))
        graph.output(silu(graph.root / "act", y) if consumed else y)
        return graph

    @pytest.mark.parametrize("execution", list(Execution))
    def test_work_and_weights_multiply(self, execution):
        cost = cost_of(self.chain(consumed=False), execution)
        assert cost.macs == 3 * B * H**2
        assert cost.weight_bytes == 3 * H**2 * w_w
        assert cost[Traffic(Kind.WEIGHT, Direction.READ)].amount == 3 * H**2 * w_w

    def test_each_run_reads_and_writes_its_activations(self):
        cost = cost_of(self.chain(consumed=False), EAGER)
        assert cost[Traffic(Kind.ACTIVATION, Direction.READ)].amount == 3 * ROWS
        assert cost.bytes_written == 3 * ROWS

    def test_what_comes_after_reads_the_result_of_the_last_run(self):
        cost = cost_of(self.chain(consumed=True), EAGER)
        # Three runs read their input, the activation behind them reads one result.
        assert cost.at("act").bytes_read == ROWS
        assert cost[Traffic(Kind.ACTIVATION, Direction.READ)].amount == 4 * ROWS
        assert cost.bytes_written == 4 * ROWS

    def test_in_one_kernel_only_weights_are_read_for_each_run(self):
        assert same(traffic(self.chain(consumed=True), IDEAL), (ROWS + 3 * H**2 * w_w, ROWS))

    def test_ideal_is_one_kernel_though_all_of_it_repeats(self):
        assert same(traffic(self.chain(consumed=False), IDEAL), (ROWS + 3 * H**2 * w_w, ROWS))

    def test_the_gradient_behind_the_last_run_reads_what_that_one_saved(self):
        """Forward: y = x W three times, z = silu(y). Backward: dy from dz and the last y."""
        cost = cost_of(backward(self.chain(consumed=True)), EAGER)
        assert cost.at("act").bytes_read == 2 * ROWS
        assert cost.at("act").bytes_written == ROWS
        # Three runs read dy and W for dx, and dy and their own x for dW.
        assert same(
            (cost.at("layers.0-2").bytes_read, cost.at("layers.0-2").bytes_written),
            (9 * ROWS + 3 * H**2 * w_w, 3 * ROWS + 3 * H**2 * w_a),
        )

    def test_gradients_of_weights_are_kept_for_each_run(self):
        for execution in Execution:
            cost = cost_of(backward(self.chain(consumed=True)), execution)
            assert cost[Storage(Kind.GRADIENT)].amount == 3 * H**2 * w_a
            assert cost[Traffic(Kind.GRADIENT, Direction.WRITTEN)].amount == 3 * H**2 * w_a

    def test_a_kernel_inside_the_body_runs_once_for_each_run(self):
        graph = Graph()
        at = graph.root.repeat("layers.0-2", 3).fused(BOTH)
        y = gelu(at / "g", silu(at / "f", graph.input("x", B, H)))
        graph.output(copy(graph.root / "after", y))
        cost = cost_of(graph, FUSED)
        assert cost.at("layers.0-2").bytes_read == 3 * ROWS
        assert cost.at("layers.0-2").bytes_written == 3 * ROWS

    def test_repeats_inside_repeats_multiply(self):
        graph = Graph()
        g = graph.root.repeat("outer", 2).repeat("inner", 5)
        y = linear(g, graph.input("x", B, H), g.weight("weight", H, H))
        graph.output(y)
        cost = cost_of(graph, EAGER)
        assert cost.macs == 10 * B * H**2
        assert cost.weight_bytes == 10 * H**2 * w_w
        assert cost.bytes_written == 10 * ROWS


class TestConditions:
    """A linear layer on n_w n_h tiles of each page, which does not run where there are none."""

    @staticmethod
    def on_tiles() -> Graph:
        graph = Graph()
        g = (graph.root / "tiles").when(CROPS)
        graph.output(linear(g, graph.input("x", B * CROPS, H), g.weight("weight", F, H)))
        return graph

    def test_what_has_the_factor_stays_as_it_is(self):
        cost = cost_of(self.on_tiles(), EAGER)
        assert cost.macs == B * n_w * n_h * H * F
        assert cost.bytes_written == B * n_w * n_h * F * w_a
        assert cost[Traffic(Kind.ACTIVATION, Direction.READ)].amount == B * n_w * n_h * H * w_a

    def test_what_would_remain_counts_once_where_there_are_tiles(self):
        read = cost_of(self.on_tiles(), EAGER)[Traffic(Kind.WEIGHT, Direction.READ)].amount
        assert [
            read.xreplace({n_w: sp.Integer(columns), n_h: sp.Integer(rows)})
            for columns, rows in ((0, 0), (1, 1), (1, 2), (3, 3))
        ] == [0, F * H * w_w, F * H * w_w, F * H * w_w]

    @pytest.mark.parametrize("execution", list(Execution))
    def test_everything_vanishes_without_tiles(self, execution):
        cost = at_crops(cost_of(self.on_tiles(), execution), 0, 0)
        assert {quantity.amount for quantity in cost.values()} == {0}

    @pytest.mark.parametrize("execution", list(Execution))
    def test_the_condition_changes_nothing_where_it_holds(self, execution):
        graph = Graph()
        g = graph.root / "tiles"
        graph.output(linear(g, graph.input("x", 6 * B, H), g.weight("weight", F, H)))
        assert at_crops(cost_of(self.on_tiles(), execution), 2, 3) == cost_of(graph, execution)

    def test_conditions_and_repeats_combine(self):
        graph = Graph()
        g = graph.root.when(CROPS).repeat("layers.0-3", 4)
        graph.output(linear(g, graph.input("x", B * CROPS, H), g.weight("weight", H, H)))
        cost = cost_of(graph, EAGER)
        assert cost.macs == 4 * B * n_w * n_h * H**2
        weights = cost[Traffic(Kind.WEIGHT, Direction.READ)].amount
        assert weights.xreplace({n_w: sp.Integer(2), n_h: sp.Integer(1)}) == 4 * H**2 * w_w
        assert weights.xreplace({n_w: sp.Integer(0), n_h: sp.Integer(0)}) == 0
