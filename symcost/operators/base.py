"""What a rule states and how an operator that runs becomes part of a graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec

import sympy as sp

from symcost.errors import DomainError, OperatorError, ShapeError
from symcost.graph import NO_SCRATCH, Backward, Operation, Scope, Scratch
from symcost.symbols import ZERO, Expr, Size, as_expr, w_a
from symcost.tensor import Kind, Piece, Region, Shape, Tensor, product, same, shape_text

P = ParamSpec("P")


@dataclass(frozen=True)
class Out:
    """A tensor that an operator makes.

    Parameters
    ----------
    shape : tuple of sympy.Expr
        Its shape.
    width : sympy.Expr
        Bytes per element.
    kind : Kind
        What it holds.
    written : sympy.Expr, optional
        The elements that are written; all of the shape unless given.
    present : tuple of Piece
        Pieces of the tensor that lie in memory already.
    moved : sympy.Expr
        Elements that are copied from where they lay and stay the same: a write of the kernel
        that copies, but no result of a kernel that could leave them where they are.
    kept : bool
        Whether every run leaves behind what it writes, such as a new entry of the cache.
    differentiable : bool
        False for indices.
    """

    shape: Shape
    width: Expr
    kind: Kind = Kind.ACTIVATION
    written: Expr | None = None
    present: tuple[Piece, ...] = ()
    moved: Expr = ZERO
    kept: bool = False
    differentiable: bool = True


@dataclass(frozen=True)
class Rule:
    """What one run of an operator does and costs.

    Parameters
    ----------
    out : tuple of Out
        What it makes.
    reads : tuple of Tensor or Piece
        What it reads, each tensor whole unless a piece says how many elements are touched.
    macs : sympy.Expr
        Multiply-accumulates of the matrix engine.
    vector_elements : sympy.Expr
        Elements of vector work, each at the operator's `flops_per_element`.
    inputs : tuple of Tensor
        What gradients flow back to, in the order of what `backward` returns.
    scratch : Scratch
        What the reference moves besides reads and results.
    backward : callable, optional
        Runs the operators of the backward pass for the gradient of the first output, and returns
        a gradient for each input, or None for an input that has none.
    """

    out: tuple[Out, ...]
    reads: tuple[Tensor | Piece, ...]
    macs: Expr = ZERO
    vector_elements: Expr = ZERO
    inputs: tuple[Tensor, ...] = ()
    scratch: Scratch = NO_SCRATCH
    backward: Backward | None = None


@dataclass(frozen=True, eq=False)
class Operator(Generic[P]):
    """A named rule. Called at a scope it adds itself to the graph and returns what it makes.

    Parameters
    ----------
    name : str
        The name, unique among all operators.
    torch : str
        The operator of torch that does the same, or the chain of them.
    flops_per_element : int
        Vector FLOPs for each element that `unit` speaks of.
    unit : str
        Which elements are counted.
    reason : str
        How the number comes about.
    """

    name: str
    torch: str
    flops_per_element: int
    unit: str
    reason: str
    rule: Callable[P, Rule]

    def __call__(self, at: Scope, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        """Run an operator and return the first tensor that it makes."""
        outputs = self.outputs(at, *args, **kwargs)
        return outputs[0]

    def outputs(self, at: Scope, *args: P.args, **kwargs: P.kwargs) -> tuple[Tensor, ...]:
        """Run an operator and return everything that it makes."""
        try:
            rule = self.rule(*args, **kwargs)
        except (ShapeError, DomainError) as error:
            raise type(error)(f"{at.path}: {self.name}: {error}") from None
        except ValueError:
            given = ", ".join(
                f"{x.name} {shape_text(x.shape)}"
                for x in (*args, *kwargs.values())
                if isinstance(x, Tensor)
            )
            raise ShapeError(
                f"{at.path}: {self.name}: the number of dimensions of {given} does not fit"
            ) from None
        for out in rule.out:
            if any(size.is_number and not (size.is_Integer and size >= 0) for size in out.shape):
                raise ShapeError(
                    f"{at.path}: {self.name} cannot make {shape_text(out.shape)} of "
                    + ", ".join(f"{x.name} {shape_text(x.shape)}" for x in rule.inputs)
                )
        outputs: list[Tensor] = []
        writes: list[Piece] = []
        for out in rule.out:
            pieces = list(out.present)
            if out.moved != 0:
                moved = Region(out.moved, out.width, out.kind, at.loops)
                pieces.append(Piece(moved, out.moved))
                writes.append(pieces[-1])
            amount = product(out.shape) if out.written is None else out.written
            region = Region(amount, out.width, out.kind, at.loops)
            pieces.append(Piece(region, amount))
            writes.append(pieces[-1])
            flows = out.differentiable and any(x.differentiable for x in rule.inputs)
            tensor = Tensor(at.path, out.shape, tuple(pieces), flows)
            outputs.append(tensor)
            if out.kept:
                at.graph.kept.append(Tensor(at.path, out.shape, (pieces[-1],)))
        reads = [
            piece
            for read in rule.reads
            for piece in (read.pieces if isinstance(read, Tensor) else (read,))
        ]
        at.graph.operations.append(
            Operation(
                operator=self.name,
                path=at.path,
                loops=at.loops,
                kernel=at.kernel,
                inputs=rule.inputs,
                outputs=tuple(outputs),
                macs=rule.macs,
                vector_flops=self.flops_per_element * rule.vector_elements,
                reads=tuple(reads),
                writes=tuple(writes),
                scratch=rule.scratch,
                backward=rule.backward,
            )
        )
        return tuple(outputs)


OPERATORS: dict[str, Operator[...]] = {}
"""Every operator by name."""


def operator(
    *, torch: str, flops: int = 0, unit: str = "", reason: str = ""
) -> Callable[[Callable[P, Rule]], Operator[P]]:
    """Register a rule under the name of its function. A second rule of that name is refused."""

    def register(rule: Callable[P, Rule]) -> Operator[P]:
        name = rule.__name__
        if name in OPERATORS:
            raise OperatorError(f"operator {name!r} has a rule already; one rule per operator")
        made = Operator(name, torch, flops, unit, reason, rule)
        OPERATORS[name] = made
        return made

    return register


def touched(tensor: Tensor, elements: Size) -> Piece:
    """A read of only so many elements of a tensor."""
    return Piece(tensor.region, as_expr(elements))


def width_of(*tensors: Tensor) -> Expr:
    """The width of a result: that of the first operand that is no weight.

    What is made of weights alone, such as a resized table, is an activation and has its width.
    """
    for tensor in tensors:
        if all(piece.region.kind is not Kind.WEIGHT for piece in tensor.pieces):
            return tensor.width
    return w_a


def require(what: str, a: Size, b: Size, first: Tensor, second: Tensor) -> None:
    """Raise unless two sizes are the same expression, naming both tensors."""
    if not same(as_expr(a), as_expr(b)):
        raise ShapeError(
            f"{what} {a} of {first.name} {shape_text(first.shape)} and {b} of "
            f"{second.name} {shape_text(second.shape)} differ"
        )


def require_at_most(what: str, value: Size, limit: Size, tensor: Tensor) -> None:
    """Raise where a number is larger than another number that it must not exceed."""
    excess = as_expr(value) - as_expr(limit)
    if excess.is_number and excess > 0:
        raise ShapeError(
            f"{what} {value} exceeds {limit} of {tensor.name} {shape_text(tensor.shape)}"
        )


def broadcast(*tensors: Tensor) -> Shape:
    """The shape to which tensors repeat along their dimensions of size one."""
    rank = max(len(tensor.shape) for tensor in tensors)
    shape: list[Expr] = [sp.Integer(1)] * rank
    for tensor in tensors:
        padded = (sp.Integer(1),) * (rank - len(tensor.shape)) + tensor.shape
        for i, size in enumerate(padded):
            if shape[i] == 1:
                shape[i] = size
            elif size != 1 and not same(size, shape[i]):
                raise ShapeError(
                    "shapes "
                    + " and ".join(f"{t.name} {shape_text(t.shape)}" for t in tensors)
                    + f" do not fit together: {shape[i]} against {size}"
                )
    return tuple(shape)
