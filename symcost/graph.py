"""Graphs of operators: what a forward pass leaves behind when it is run once over formulas.

A layer is run at a `Scope`, which knows the module path, how often the body repeats and which
kernel holds it. Every operator that runs adds one `Operation` to the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import sympy as sp

from symcost.display import Displayed, Sheet, Table, cell
from symcost.errors import ShapeError
from symcost.loops import Loop
from symcost.symbols import ZERO, Expr, Size, as_expr, positive, w_a, w_w
from symcost.tensor import Kind, Piece, Region, Tensor, product, shape_text

Gradients: TypeAlias = Sequence[Tensor | None]
Outputs: TypeAlias = tuple[Tensor, ...]
Backward: TypeAlias = "Callable[[Scope, Tensor, Outputs], Gradients]"
"""Runs the backward pass of an operator: from the gradient of its first output, and its outputs."""


@dataclass(frozen=True)
class Fusion:
    """A kind of kernel that serving engines run.

    Parameters
    ----------
    name : str
        What it is called.
    holds : str
        The operators that it holds, in words.
    source : str
        A paper or a project that has such a kernel.
    """

    name: str
    holds: str
    source: str


@dataclass(frozen=True, eq=False)
class Kernel:
    """One kernel of a serving engine: the operators that a layer declares to run together."""

    fusion: Fusion


@dataclass(frozen=True)
class Scratch:
    """Bytes that the reference moves besides what its operators are given and result in.

    Copies in another width, or figures kept for a backward pass: a kernel of one's own has none.
    """

    read: Expr = ZERO
    written: Expr = ZERO


NO_SCRATCH = Scratch()


@dataclass(frozen=True, eq=False)
class Operation:
    """One operator as it ran: where, on what, and what it costs per run of its loops.

    `reads` and `writes` are in elements; `macs` and `vector_flops` are counts.
    """

    operator: str
    path: str
    loops: tuple[Loop, ...]
    kernel: Kernel | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    macs: Expr
    vector_flops: Expr
    reads: tuple[Piece, ...]
    writes: tuple[Piece, ...]
    scratch: Scratch
    backward: Backward | None = field(repr=False)

    @property
    def elements_read(self) -> Expr:
        """Elements that it reads, of one run."""
        return _elements(self.reads)

    @property
    def elements_written(self) -> Expr:
        """Elements that it writes, of one run."""
        return _elements(self.writes)


def _elements(pieces: Sequence[Piece]) -> Expr:
    return sp.Add(*(piece.elements for piece in pieces))


@dataclass(frozen=True)
class Hold:
    """A name in the reference that keeps a tensor alive until what runs at a path has run.

    Parameters
    ----------
    since : int
        How many operations had run when it was noted.
    """

    tensor: Tensor
    path: str
    since: int


@dataclass(eq=False)
class Graph(Displayed):
    """The operations of a pass in the order in which they ran.

    `outputs` are its results; of what a repeated body makes, the result of the last run. `kept` is
    what every run leaves behind: entries of the cache, gradients of weights. `holds` are names that
    keep tensors alive longer than they are used. `calls` tells whether modules call each other, and
    so hold what they pass on until they get an answer: autograd runs operators one by one.
    """

    operations: list[Operation] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)
    outputs: list[Tensor] = field(default_factory=list)
    kept: list[Tensor] = field(default_factory=list)
    states: dict[Region, tuple[Loop, ...]] = field(default_factory=dict)
    """What runs of a repeated body pass on, by the loops in which each run has one of its own."""
    saved: Mapping[Region, tuple[Loop, ...]] = field(default_factory=dict)
    """The memory of the forward pass that this backward pass follows, by loops in the same way."""
    holds: list[Hold] = field(default_factory=list)
    calls: bool = True

    @property
    def root(self) -> Scope:
        """The scope outside all modules."""
        return Scope(self)

    def input(
        self,
        name: str,
        *shape: Size,
        width: Expr = w_a,
        kind: Kind = Kind.ACTIVATION,
        loops: tuple[Loop, ...] = (),
        differentiable: bool = True,
    ) -> Tensor:
        """A tensor that the forward pass is given."""
        sizes = tuple(as_expr(size) for size in shape)
        if any(size.is_negative for size in sizes):
            raise ShapeError(f"{name} cannot have the shape {shape_text(sizes)}")
        region = Region(product(sizes), width, kind, loops)
        return Tensor(name, sizes, (Piece(region, region.elements),), differentiable)

    def __repr__(self) -> str:
        """A line, not all operators."""
        return f"<Graph of {len(self.operations)} operators>"

    def sheet(self) -> Sheet:
        """What notebooks show: the operators, each with what one run of it takes."""
        columns = ("path", "operator", "runs", "MACs", "vector FLOPs", "reads", "writes")
        rows = [
            (
                op.path,
                op.operator,
                *map(cell, (sp.Mul(*(loop.count for loop in op.loops)), op.macs, op.vector_flops)),
                *map(cell, (op.elements_read, op.elements_written)),
            )
            for op in self.operations
        ]
        told = f"{len(rows)} operators, each with what one run does, reads and writes, in elements"
        return Sheet("Graph", [Table(columns, rows, told)])

    def output(self, tensor: Tensor) -> Tensor:
        """Mark a tensor as a result: it is written to memory under every execution."""
        self.outputs.append(tensor)
        return tensor


@dataclass(frozen=True)
class Scope:
    """Where an operator runs: `scope / "name"` descends into a module or names an operator."""

    graph: Graph
    path: str = ""
    loops: tuple[Loop, ...] = ()
    kernel: Kernel | None = None

    def __truediv__(self, name: str) -> Scope:
        return replace(self, path=f"{self.path}.{name}" if self.path else name)

    def repeat(self, name: str, count: int) -> Scope:
        """The scope of equal modules that run one after the other, each with its own weights."""
        return replace(self / name, loops=(*self.loops, Loop(as_expr(count))))

    def enter(self, x: Tensor) -> Tensor:
        """What comes into a repeated body: x into the first run, into each other what one makes."""
        self.graph.states[x.region.root] = self.loops
        return x

    def when(self, condition: Expr) -> Scope:
        """The scope of a call that is made only where the condition is not zero."""
        return replace(self, loops=(*self.loops, Loop(positive(condition), condition)))

    def fused(self, fusion: Fusion) -> Scope:
        """The scope of operators that a serving engine runs as one kernel.

        Inside a kernel it is that kernel.
        """
        return self if self.kernel else self.inside(Kernel(fusion))

    def inside(self, kernel: Kernel | None) -> Scope:
        """The scope of operators that belong to a kernel which begins or ends elsewhere."""
        return replace(self, kernel=kernel)

    @property
    def caller(self) -> Scope:
        """The scope of the module around this one."""
        return replace(self, path=self.path.rpartition(".")[0])

    def holds(self, *tensors: Tensor) -> None:
        """Note that names in the reference keep tensors alive until this scope has been left.

        It matters to the live activations of eager execution and to nothing else.
        """
        since = len(self.graph.operations)
        self.graph.holds += [Hold(tensor, self.path, since) for tensor in tensors]

    def weight(self, name: str, *shape: Size) -> Tensor:
        """The parameter of this module with the given name; asked for again, the same one."""
        path = f"{self.path}.{name}"
        known = self.graph.weights.get(path)
        if known is None:
            known = self.graph.input(path, *shape, width=w_w, kind=Kind.WEIGHT, loops=self.loops)
            self.graph.weights[path] = known
        elif known.shape != tuple(as_expr(size) for size in shape):
            raise ShapeError(
                f"{path} is {shape_text(known.shape)} and was asked for as {shape_text(shape)}"
            )
        return known

    def cached(self, name: str, *shape: Size, width: Expr) -> Tensor:
        """Keys or values of this module that an earlier call left in the cache."""
        return self.graph.input(
            f"{self.path}.{name}",
            *shape,
            width=width,
            kind=Kind.KV,
            loops=self.loops,
            differentiable=False,
        )
