"""Tensors whose sizes are formulas, and the memory that they occupy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate, count

import sympy as sp

from symcost.errors import ShapeError
from symcost.loops import Loop
from symcost.symbols import Expr, Size, as_expr

Shape = tuple[Expr, ...]
_SERIAL = count()


class Kind(StrEnum):
    """What a stretch of memory holds."""

    WEIGHT = "weights"
    ACTIVATION = "activations"
    KV = "kv"
    GRADIENT = "gradients"


def product(sizes: Sequence[Size]) -> Expr:
    """The number of elements of a shape."""
    return sp.Mul(*(as_expr(size) for size in sizes))


def shape_text(shape: Sequence[Size]) -> str:
    """A shape as a reader writes it."""
    return "(" + ", ".join(str(size) for size in shape) + ")"


def same(a: Expr, b: Expr) -> bool:
    """Whether two sizes are the same for all values of their symbols."""
    return bool(a == b or sp.expand(a - b) == 0)


@dataclass(frozen=True, eq=False)
class Region:
    """A stretch of memory that is written at once; traffic and liveness are counted in these.

    A slice of a tensor is a region inside a region.
    """

    elements: Expr
    width: Expr
    kind: Kind
    loops: tuple[Loop, ...]
    parent: Region | None = None
    _parts: dict[tuple[object, ...], Region] = field(default_factory=dict, repr=False)

    def part(self, shape: Shape, key: tuple[object, ...]) -> Region:
        """The region of a slice; cut the same way again, the same one."""
        part = Region(product(shape), self.width, self.kind, self.loops, parent=self)
        return self._parts.setdefault((shape, *key), part)

    @property
    def root(self) -> Region:
        """The whole allocation that this region lies in."""
        return self if self.parent is None else self.parent.root


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a tensor: a region and how many of its elements belong to the tensor."""

    region: Region
    elements: Expr


class ViewKind(StrEnum):
    """How a view looks at the memory of another tensor."""

    RESHAPE = "reshape"
    PERMUTE = "permute"
    EXPAND = "expand"
    SLICE = "slice"


@dataclass(frozen=True, eq=False)
class View:
    """What a tensor that owns no memory of its own looks at."""

    kind: ViewKind
    base: Tensor
    order: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Tensor:
    """An array with symbolic sizes.

    Reshaping, transposing, slicing and broadcasting are free: they return another look at the
    same memory.
    """

    name: str
    shape: Shape
    pieces: tuple[Piece, ...]
    differentiable: bool = True
    view: View | None = None
    serial: int = field(default_factory=_SERIAL.__next__)

    @property
    def elements(self) -> Expr:
        """The number of elements of the shape."""
        return product(self.shape)

    @property
    def features(self) -> Expr:
        """The last size."""
        return self.shape[-1]

    @property
    def rows(self) -> Expr:
        """The product of all sizes but the last."""
        return product(self.shape[:-1])

    @property
    def region(self) -> Region:
        """The memory of a tensor that lies in one region."""
        if len(self.pieces) != 1:
            raise ShapeError(f"{self.name} lies in {len(self.pieces)} pieces of memory, not in one")
        return self.pieces[0].region

    @property
    def width(self) -> Expr:
        """Bytes per element."""
        return self.pieces[0].region.width

    def _look(self, kind: ViewKind, shape: Shape, order: tuple[int, ...] = ()) -> Tensor:
        view = View(kind, self, order)
        return Tensor(self.name, shape, self.pieces, self.differentiable, view)

    def reshape(self, *sizes: Size) -> Tensor:
        """The same elements in another shape."""
        shape = tuple(as_expr(size) for size in sizes)
        if not same(product(shape), self.elements):
            raise ShapeError(
                f"{self.name} {shape_text(self.shape)} holds {self.elements} elements, "
                f"shape {shape_text(shape)} holds {product(shape)}"
            )
        return self._look(ViewKind.RESHAPE, shape)

    def permute(self, *order: int) -> Tensor:
        """The same elements with their dimensions in another order."""
        if sorted(order) != list(range(len(self.shape))):
            raise ShapeError(f"{order} does not order the dimensions of {shape_text(self.shape)}")
        return self._look(ViewKind.PERMUTE, tuple(self.shape[i] for i in order), order)

    @property
    def transposed(self) -> Tensor:
        """The same elements with the last two dimensions swapped."""
        order = list(range(len(self.shape)))
        order[-2:] = reversed(order[-2:])
        return self.permute(*order)

    def expand(self, *sizes: Size) -> Tensor:
        """The same elements, repeated along dimensions of size one without a copy."""
        shape = tuple(as_expr(size) for size in sizes)
        own = (sp.Integer(1),) * (len(shape) - len(self.shape)) + self.shape
        if len(own) != len(shape) or any(a not in (b, 1) for a, b in zip(own, shape, strict=True)):
            raise ShapeError(
                f"{self.name} {shape_text(self.shape)} cannot be repeated to {shape_text(shape)}"
            )
        return self._look(ViewKind.EXPAND, shape)

    def slice(self, dim: int, start: Size, length: Size) -> Tensor:
        """A stretch of the given start and length along one dimension."""
        end = as_expr(start) + length
        if end.is_number and self.shape[dim].is_number and end > self.shape[dim]:
            raise ShapeError(
                f"{self.name} {shape_text(self.shape)} ends before {end} along dimension {dim}"
            )
        sizes = list(self.shape)
        sizes[dim] = as_expr(length)
        shape = tuple(sizes)
        part = self.region.part(shape, (self.shape, dim % len(shape), as_expr(start)))
        view = View(ViewKind.SLICE, self)
        return Tensor(self.name, shape, (Piece(part, part.elements),), self.differentiable, view)

    def split(self, dim: int, *lengths: Size) -> tuple[Tensor, ...]:
        """Consecutive stretches along one dimension, which together are the whole of it."""
        total = sp.Add(*(as_expr(length) for length in lengths))
        if not same(total, self.shape[dim]):
            raise ShapeError(
                f"{self.name} {shape_text(self.shape)} has {self.shape[dim]} along dimension "
                f"{dim}, the pieces {shape_text(lengths)} make {total}"
            )
        starts = accumulate((as_expr(length) for length in lengths[:-1]), initial=sp.Integer(0))
        return tuple(
            self.slice(dim, start, length) for start, length in zip(starts, lengths, strict=True)
        )
