"""What a law is tested on: a few operators run over symbols, and the points to look at them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from itertools import zip_longest

import sympy as sp
from hypothesis import strategies as st

from symcost import symbols as sy
from symcost.autodiff import backward
from symcost.cost import Cost
from symcost.exact import Evaluator, Number, as_rational
from symcost.execution import Execution, cost_of
from symcost.graph import Graph, Scope
from symcost.tensor import Tensor

Point = dict[sp.Symbol, Number]
WIDTHS = (sy.w_w, sy.w_a, sy.w_kv)
BF16: Point = dict.fromkeys(WIDTHS, 2)
GRIDS = [(0, 0), *((w, h) for w in range(1, 10) for h in range(1, 10) if w * h <= 9)]
"""No crops, and every grid of at most nine tiles."""
LARGEST_SIDE = 1280
LARGEST_SIZE = 48


@dataclass(frozen=True, eq=False)
class Case:
    """One operator or layer run over symbolic sizes.

    Parameters
    ----------
    run : callable
        Runs it at a scope and returns the results that are to be kept.
    macs, vector_flops : sympy.Expr, optional
        The work that it does, counted by hand.
    reads, writes : tuple of sympy.Expr
        What an operator touches of each tensor in turn, in elements, counted by hand.
    scratch : tuple of sympy.Expr
        The bytes that the reference reads and writes besides, counted by hand.
    parameters : sympy.Expr
        Elements of the weights that a layer holds, counted by hand.
    bends : mapping of sympy.Symbol to str
        Sizes in which the cost need not grow, and why.
    legal : callable
        Whether the sizes of a point fit together.
    """

    run: Callable[[Scope], Sequence[Tensor]]
    macs: sp.Expr = sp.S.Zero
    vector_flops: sp.Expr | None = None
    parameters: sp.Expr = sp.S.Zero
    reads: tuple[sp.Expr, ...] = ()
    writes: tuple[sp.Expr, ...] = ()
    scratch: tuple[sp.Expr, sp.Expr] = (sp.S.Zero, sp.S.Zero)
    bends: Mapping[sp.Symbol, str] = field(default_factory=dict)
    legal: Callable[[Point], bool] = lambda point: True  # noqa: ARG005
    operator: str = ""


@cache
def graph_of(case: Case, direction: str = "forward") -> Graph:
    """The forward or the backward graph of a case."""
    if direction == "backward":
        return backward(graph_of(case))
    graph = Graph()
    for result in case.run(graph.root / "layer"):
        graph.output(result)
    return graph


def miscounted(case: Case) -> dict[str, sp.Expr]:
    """What the operator of a case is stated to cost beyond what was counted by hand."""
    (operation,) = graph_of(case).operations
    stated = {
        "MACs": ([operation.macs], [case.macs]),
        "vector FLOPs": ([operation.vector_flops], [case.vector_flops]),
        "read": ([piece.elements for piece in operation.reads], case.reads),
        "write": ([piece.elements for piece in operation.writes], case.writes),
        "scratch": ([operation.scratch.read, operation.scratch.written], case.scratch),
    }
    off = {
        f"{what} {i}": sp.expand(ours - by_hand)
        for what, amounts in stated.items()
        for i, (ours, by_hand) in enumerate(zip_longest(*amounts, fillvalue=sp.nan))
    }
    return {what: by for what, by in off.items() if by != 0}


@cache
def cost(case: Case, direction: str, execution: Execution) -> Cost:
    """The symbolic cost of a case."""
    return cost_of(graph_of(case, direction), execution)


@cache
def formulas(case: Case, execution: Execution) -> dict[str, sp.Expr]:
    """The work and the traffic of a case, as formulas."""
    return figures(cost(case, "forward", execution))


def figures(of: Cost) -> dict[str, sp.Expr]:
    """The work and the traffic of a cost, as formulas."""
    names = ("macs", "vector_flops", "bytes_read", "bytes_written")
    return {name: as_rational(getattr(of, name)) for name in names}


def numbers(formulas: Mapping[str, sp.Expr], point: Point) -> dict[str, Number]:
    """The values of named formulas at a point."""
    evaluate = Evaluator(point)
    return {name: evaluate(formula) for name, formula in formulas.items()}


def sizes_in(graph: Graph) -> frozenset[sp.Symbol]:
    """The symbols that the operations of a graph depend on, byte widths left out."""
    formulas: list[sp.Expr] = []
    for operation in graph.operations:
        formulas += [operation.macs, operation.vector_flops]
        formulas += [operation.scratch.read, operation.scratch.written]
        formulas += [piece.elements for piece in (*operation.reads, *operation.writes)]
        formulas += [loop.count for loop in operation.loops]
    found = frozenset().union(*(formula.free_symbols for formula in formulas))
    return found - frozenset(WIDTHS)


@cache
def sizes_of(case: Case) -> frozenset[sp.Symbol]:
    """The symbols that the operations of a case depend on, byte widths left out."""
    return sizes_in(graph_of(case))


def values_of(symbol: sp.Symbol) -> st.SearchStrategy[int]:
    """Values in the domain of a symbol: mostly small ones, so that coincidences occur."""
    info = sy.info_of(symbol)
    step = info.multiple_of
    largest = LARGEST_SIDE if step == 64 else LARGEST_SIZE
    return st.integers(-(-info.minimum // step), largest // step).map(lambda count: count * step)


@cache
def points(symbols: frozenset[sp.Symbol]) -> st.SearchStrategy[Point]:
    """Legal points: every symbol within its domain, crop grids as there are; made once."""
    wanted = sorted(symbols, key=str)
    single = {s: values_of(s) for s in wanted if s not in (sy.n_w, sy.n_h, *WIDTHS)}
    grids = st.sampled_from([{sy.n_w: columns, sy.n_h: rows} for columns, rows in GRIDS])
    return st.builds(lambda sizes, grid: sizes | grid, st.fixed_dictionaries(single), grids)


@cache
def widths() -> st.SearchStrategy[Point]:
    """Byte widths, half a byte for 4-bit weights among them."""
    width = st.sampled_from([Fraction(1, 2), 1, 2, 4])
    return st.fixed_dictionaries(dict.fromkeys(WIDTHS, width))
