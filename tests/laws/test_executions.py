"""Laws of executions: work stays, and traffic shrinks from eager over fused to ideal.

On every layer and on the whole of DeepSeek-OCR, forward and backward.
"""

from __future__ import annotations

from functools import cache

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from symcost.cost import Direction, Traffic
from symcost.execution import Execution, held, kernels
from symcost.symbols import B, I_g, I_t, K, S, U, n_h, n_w, w_kv
from symcost.tensor import Kind, Region
from tests.laws.cases import BF16, figures, numbers
from tests.laws.graphs import GRAPHS, MODEL_GRAPHS, PUBLISHED, cost, draw_point, graph

every_graph = pytest.mark.parametrize("name", GRAPHS)
every_model_graph = pytest.mark.parametrize("name", MODEL_GRAPHS)
both_ways = pytest.mark.parametrize("direction", ["forward", "backward"])


@cache
def formulas(name: str, direction: str, execution: Execution) -> dict[str, sp.Expr]:
    """Traffic by direction and in all, and by kind of memory."""
    whole = cost(name, direction, execution)
    found = figures(whole)
    found["bytes_moved"] = found["bytes_read"] + found["bytes_written"]
    for way in Direction:
        for kind in Kind:
            found[f"{kind} {way}"] = whole[Traffic(kind, way)].amount
    return found


@every_graph
@both_ways
@settings(max_examples=25)
@given(data=st.data())
def test_traffic_shrinks_from_eager_over_fused_to_ideal(name, direction, data):
    point = draw_point(data, name)
    eager, fused, ideal = (
        numbers(formulas(name, direction, execution), point) for execution in Execution
    )
    for key in ("bytes_read", "bytes_written", "bytes_moved"):
        assert eager[key] >= fused[key] >= ideal[key] >= 0, key


@every_graph
@both_ways
def test_work_is_the_same_in_all_executions(name, direction):
    eager, fused, ideal = (figures(cost(name, direction, execution)) for execution in Execution)
    for key in ("macs", "vector_flops"):
        assert sp.expand(eager[key] - fused[key]) == 0
        assert sp.expand(eager[key] - ideal[key]) == 0


@pytest.mark.parametrize("part", ["vision", "decoder with image"])
def test_fusing_saves_something(part):
    """The law of shrinking would hold of three equal executions too."""
    point = {B: 2, S: 1000, K: 7, U: 64, I_g: 1024, I_t: 640, n_w: 2, n_h: 3} | BF16
    eager, fused, ideal = (
        numbers(formulas(f"{part} of vendor", "forward", execution), point)["bytes_moved"]
        for execution in Execution
    )
    assert eager > 2 * fused
    assert fused > ideal


@every_model_graph
@both_ways
@settings(max_examples=25)
@given(data=st.data())
def test_counts_of_the_model_are_non_negative_integers(name, direction, data):
    """Bytes too, as long as a byte width is whole."""
    point = draw_point(data, name, wide=False)
    for execution in Execution:
        values = numbers(formulas(name, direction, execution), point)
        assert all(isinstance(value, int) and value >= 0 for value in values.values()), values


@every_model_graph
@both_ways
def test_macs_of_the_model_are_affine_in_the_batch(name, direction):
    macs = figures(cost(name, direction, Execution.EAGER))["macs"]
    one_more, two_more = (macs.xreplace({B: B + extra}) for extra in (1, 2))
    assert sp.expand(two_more - 2 * one_more + macs) == 0
    assert sp.expand(one_more - macs) != 0


@every_graph
@both_ways
@pytest.mark.parametrize("execution", list(Execution))
def test_a_kernel_reads_what_an_earlier_one_wrote(name, direction, execution):
    """Otherwise its traffic and the liveness of what it reads would be lost."""
    groups = kernels(graph(name, direction), execution)
    written_by: dict[Region, int] = {
        piece.region.root: index
        for index, kernel in enumerate(groups)
        for operation in kernel.operations
        for piece in operation.writes
    }
    late = {
        f"{operation.path} ({operation.operator})"
        for index, kernel in enumerate(groups)
        for operation in kernel.operations
        for piece in operation.reads
        if written_by.get(piece.region.root, -1) > index
    }
    assert not late, "they run before the kernel that makes what they read"


@every_graph
@both_ways
def test_every_operator_is_in_one_kernel(name, direction):
    whole = graph(name, direction)
    for execution in Execution:
        placed = [
            id(operation) for kernel in kernels(whole, execution) for operation in kernel.operations
        ]
        assert sorted(placed) == sorted(map(id, whole.operations))


@cache
def stored(name: str) -> sp.Expr:
    """Bytes of the weights that operators of a forward pass read."""
    run = graph(name, "forward")
    touched = {piece.region.root for operation in run.operations for piece in operation.reads}
    return sp.Add(*(held(w) for w in run.weights.values() if w.region in touched))


@every_model_graph
@settings(max_examples=20)
@given(data=st.data())
def test_ideal_traffic_holds_each_weight_at_most_once(name, data):
    """Compulsory traffic: what of the weights is touched is read once, though tiles come too.

    It may be less than what is stored: of the embedding only the rows of the tokens are read, and
    of the experts those that were chosen; the patch embedding of CLIP never runs.
    """
    point = draw_point(data, name)
    read = formulas(name, "forward", Execution.IDEAL)["weights read"]
    values = numbers({"read": read, "stored": stored(name)}, point)
    assert 0 < values["read"] <= values["stored"]


@every_model_graph
def test_a_forward_pass_writes_no_weights_and_its_cache_once(name):
    """Eager execution copies what is cached; the others write the S new entries only."""
    for execution in Execution:
        values = formulas(name, "forward", execution)
        assert values["weights written"] == 0
    layers, features = PUBLISHED.decoder.layers, PUBLISHED.decoder.hidden
    assert PUBLISHED.decoder.kv_heads == PUBLISHED.decoder.heads
    once = B * layers * 2 * features * w_kv if "decoder" in name else sp.S.Zero
    eager, fused, ideal = (
        formulas(name, "forward", execution)["kv written"] for execution in Execution
    )
    assert sp.expand(eager - (S + K) * once) == 0
    assert sp.expand(fused - S * once) == 0
    assert sp.expand(ideal - S * once) == 0
