"""What a computation costs: typed resources, quantities that refuse to mix, and their ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache, cached_property
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import sympy as sp

from symcost.display import Displayed, Rounded, Sheet, Table, cell, rounded
from symcost.errors import DomainError, InputError, UnitError
from symcost.exact import Amount, Evaluator, Number, as_rational, decimal_text, simplest
from symcost.peaks import largest
from symcost.rounded import human
from symcost.symbols import Expr, Size, as_expr
from symcost.tensor import Kind

if TYPE_CHECKING:
    from symcost.numeric.compiled import Compiled


class Unit(StrEnum):
    """What a quantity is measured in."""

    MACS = "MACs"
    FLOPS = "FLOPs"
    BYTES = "bytes"


class Engine(StrEnum):
    """What does the work."""

    MATRIX = "matrix"
    VECTOR = "vector"


class Direction(StrEnum):
    """Which way traffic goes."""

    READ = "read"
    WRITTEN = "written"


@dataclass(frozen=True)
class Work:
    """Work of an engine: multiply-accumulates of the matrix engine, vector FLOPs of the other."""

    engine: Engine

    @property
    def unit(self) -> Unit:
        """MACs or FLOPs."""
        return Unit.MACS if self.engine is Engine.MATRIX else Unit.FLOPS


@dataclass(frozen=True)
class Traffic:
    """Bytes that cross the border of a kernel."""

    kind: Kind
    direction: Direction
    unit: Unit = Unit.BYTES


@dataclass(frozen=True)
class Storage:
    """Bytes that are held. Weights and cache add, shared ones once; activations take the peak."""

    kind: Kind
    unit: Unit = Unit.BYTES


Resource = Work | Traffic | Storage

MACS = Work(Engine.MATRIX)
VECTOR_FLOPS = Work(Engine.VECTOR)
RESOURCES: tuple[Resource, ...] = (
    MACS,
    VECTOR_FLOPS,
    *(Traffic(kind, direction) for direction in Direction for kind in Kind),
    *(Storage(kind) for kind in Kind),
)
"""Every resource that a cost counts."""


METRICS: Mapping[str, str] = {
    "flops": "FLOPs",
    "matrix_flops": "FLOPs of the matrix engine, 2 per multiply-accumulate",
    "vector_flops": "FLOPs of everything else, at the documented cost per element",
    "bytes_read": "bytes that kernels read",
    "bytes_written": "bytes that kernels write",
    "bytes_moved": "bytes that kernels read and write",
    "weight_bytes": "bytes of resident weights",
    "activation_bytes": "peak bytes of live activations",
    "kv_bytes": "bytes of the KV cache after the stage",
    "gradient_bytes": "bytes of the gradients of weights, of a backward pass",
    "resident_bytes": "bytes of weights, cache, gradients and peak activations together",
}
"""What can be asked of a cost, and what it means."""

LABELS = {
    name: name.replace("_", " ").replace("flops", "FLOPs").replace("kv", "KV") for name in METRICS
}
"""What figures are called in texts."""

COLUMNS: Mapping[str, str] = {
    "FLOPs": "flops",
    "matrix": "matrix_flops",
    "vector": "vector_flops",
    "read": "bytes_read",
    "written": "bytes_written",
    "FLOPs/byte": "intensity",
    "weights": "weight_bytes",
    "activations": "activation_bytes",
    "KV cache": "kv_bytes",
    "resident": "resident_bytes",
}
"""The columns of a table of costs in numbers, and the figures in them."""


_OPEN = 3
"""Sizes up to which the peak of live activations is found before a reader gets tired."""

_UNNAMED = count(1)


def _stated(path: str, amount: Size) -> Expr:
    formula = as_expr(amount)
    if formula.is_negative:
        raise DomainError(f"{path} is stated to cost {amount}; a cost is not negative")
    return formula


@dataclass(frozen=True)
class Quantity:
    """An amount of something, which adds to more of the same only."""

    amount: Expr
    unit: Unit
    resource: Resource

    def __add__(self, other: object) -> Quantity:
        if not isinstance(other, Quantity) or other.resource != self.resource:
            what = other.resource if isinstance(other, Quantity) else repr(other)
            raise UnitError(f"{self.resource} and {what} cannot be added")
        if self.resource == Storage(Kind.ACTIVATION):
            return replace(self, amount=largest([self.amount, other.amount]))
        return replace(self, amount=self.amount + other.amount)

    __radd__ = __add__


@dataclass(frozen=True)
class Entry:
    """So much of a resource, spent or held by what runs at a path.

    Parameters
    ----------
    kernel : str
        Of work and traffic: the kernel in which it happens, by its place in the pass and its first
        operator.
    """

    path: str
    resource: Resource
    amount: Expr
    kernel: str = ""

    def of(self, amount: Expr) -> Entry:
        """The same entry of another amount."""
        return Entry(self.path, self.resource, amount, self.kernel)


def _lies_in(path: str, prefix: str) -> bool:
    return not prefix or path == prefix or path.startswith(f"{prefix}.")


@dataclass(frozen=True, eq=False)
class Cost(Mapping[Resource, Quantity], Displayed):
    """A frozen ledger of resources, entry by entry, and the parts that it is made of.

    Parameters
    ----------
    entries : tuple of Entry
        Work and traffic by path, held bytes by name of what is held (once each), and one entry of
        live activations for each moment; their total is the maximum.
    parts : mapping of str to Cost
        The named parts that together are the whole.
    """

    entries: tuple[Entry, ...] = ()
    parts: Mapping[str, Cost] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        path: str | None = None,
        *,
        macs: Size = 0,
        vector_flops: Size = 0,
        bytes_read: Size = 0,
        bytes_written: Size = 0,
        weight_bytes: Size = 0,
        activation_bytes: Size = 0,
        kv_bytes: Size = 0,
    ) -> Self:
        """A cost stated outright, for a layer that is known by its figures only.

        What two costs of the same path hold is the same, so it counts once when they are added;
        without a path it is a layer's own.
        """
        name = f"layer {next(_UNNAMED)}" if path is None else path
        amounts: dict[Resource, Size] = {
            MACS: macs,
            VECTOR_FLOPS: vector_flops,
            Traffic(Kind.ACTIVATION, Direction.READ): bytes_read,
            Traffic(Kind.ACTIVATION, Direction.WRITTEN): bytes_written,
            Storage(Kind.WEIGHT): weight_bytes,
            Storage(Kind.ACTIVATION): activation_bytes,
            Storage(Kind.KV): kv_bytes,
        }
        return cls(
            tuple(
                Entry(name, resource, _stated(name, amount))
                for resource, amount in amounts.items()
                if amount != 0
            )
        )

    @classmethod
    def together(cls, **parts: Cost) -> Self:
        """The cost of named parts, one after the other."""
        return cls(tuple(entry for part in parts.values() for entry in part.entries), parts)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", MappingProxyType(dict(self.parts)))

    # The mapping from resource to quantity.

    @cached_property
    def _totals(self) -> dict[Resource, Expr]:
        spent: dict[Resource, list[Expr]] = {}
        held: dict[Resource, dict[str, Expr]] = {}
        for entry in self.entries:
            if not isinstance(entry.resource, Storage):
                spent.setdefault(entry.resource, []).append(entry.amount)
            elif entry.resource.kind is not Kind.ACTIVATION:
                names = held.setdefault(entry.resource, {})
                known = names.get(entry.path, entry.amount)
                names[entry.path] = known if known == entry.amount else sp.Max(known, entry.amount)
        totals = {resource: sp.Add(*amounts) for resource, amounts in spent.items()}
        totals.update({resource: sp.Add(*names.values()) for resource, names in held.items()})
        return totals

    @cached_property
    def _peak(self) -> Expr:
        return largest([amount for _, amount in self.moments])

    def __getitem__(self, resource: Resource) -> Quantity:
        if resource not in RESOURCES:
            raise KeyError(resource)
        live = resource == Storage(Kind.ACTIVATION)
        amount = self._peak if live else self._totals.get(resource, sp.Integer(0))
        return Quantity(amount, resource.unit, resource)

    def __iter__(self) -> Iterator[Resource]:
        return iter(RESOURCES)

    def __len__(self) -> int:
        return len(RESOURCES)

    def __eq__(self, other: object) -> bool:
        """Equal as formulas: the same total of every resource for all values of the symbols."""
        if not isinstance(other, Cost):
            return NotImplemented
        return all(
            sp.expand(self[resource].amount - other[resource].amount) == 0 for resource in self
        )

    def __repr__(self) -> str:
        """A line, not the ledger: formulas of a stage fill pages."""
        parts = f", parts: {', '.join(self.parts)}" if self.parts else ""
        return f"<{type(self).__name__} of {len(self.paths)} operators{parts}>"

    __hash__ = None  # type: ignore[assignment]

    # The algebra.

    def __add__(self, other: object) -> Cost:
        if not isinstance(other, Cost):
            raise UnitError(f"a cost adds to a cost, not to {other!r}")
        return Cost(self.entries + other.entries)

    def __radd__(self, other: object) -> Cost:
        """So that `sum` adds costs, beginning with 0."""
        return self if other == 0 else self + other

    def __mul__(self, count: Size) -> Self:
        """The cost of so many equal layers, each with weights and a cache of its own."""
        factor = as_expr(count)
        if factor == 0:
            return type(self)()

        def scaled(entry: Entry) -> Entry:
            if entry.resource == Storage(Kind.ACTIVATION):
                return entry
            return entry.of(factor * entry.amount)

        return self.each(scaled)

    __rmul__ = __mul__

    def each(self, change: Callable[[Entry], Entry]) -> Self:
        """The cost with every entry changed, in the whole and in its parts."""
        parts = {name: part.each(change) for name, part in self.parts.items()}
        return replace(self, entries=tuple(map(change, self.entries)), parts=parts)

    def beside(self, held: Expr) -> Self:
        """The cost where so many bytes of other activations are live all the time."""
        live = Storage(Kind.ACTIVATION)
        return self.each(
            lambda entry: entry.of(entry.amount + held) if entry.resource == live else entry
        )

    def bind(self, values: Mapping[sp.Symbol, Number | Expr]) -> Self:
        """The cost with symbols replaced, all at once, by numbers or by other formulas.

        Where nothing stays symbolic, the result is exact integers and fractions.

        Raises
        ------
        DomainError
            A number lies outside its symbol's domain.
        """
        numbers = {s: simplest(v) for s, v in values.items() if not _is_formula(v)}
        evaluator = Evaluator(numbers)
        if self.free_symbols <= numbers.keys():
            return self.each(lambda entry: entry.of(as_rational(evaluator(entry.amount))))
        exprs = {symbol: as_rational(value) for symbol, value in values.items()}
        bound = cache(lambda amount: amount.xreplace(exprs))  # a third of all amounts differ
        return self.each(lambda entry: entry.of(bound(entry.amount)))

    def evaluate(self, bindings: Mapping[sp.Symbol, Number]) -> Self:
        """The exact cost at one point.

        Raises
        ------
        UnboundSymbolError
            A symbol has no value.
        DomainError
            A value lies outside its symbol's domain.
        """
        evaluator = Evaluator({symbol: simplest(value) for symbol, value in bindings.items()})
        return self.each(lambda entry: entry.of(as_rational(evaluator(entry.amount))))

    def at(self, path: str) -> Self:
        """The share of what runs at or below a module path."""
        return type(self)(tuple(entry for entry in self.entries if _lies_in(entry.path, path)))

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that spends work or traffic, in the order in which it runs."""
        return tuple(
            dict.fromkeys(e.path for e in self.entries if not isinstance(e.resource, Storage))
        )

    @cached_property
    def free_symbols(self) -> frozenset[sp.Symbol]:
        """The symbols that the cost still depends on."""
        return frozenset[sp.Symbol]().union(*(e.amount.free_symbols for e in self.entries))

    def sheet(self) -> Sheet:
        """What notebooks show: numbers by part, or formulas of the whole and FLOPs of the parts."""
        title = f"{type(self).__name__} of {len(self.paths)} operators"
        if not self.free_symbols:
            rows = [("  " * depth + name, *row) for name, depth, row in cost_rows("whole", self)]
            at = [f"activations are most at {self.peak_path}"] if self.peak_path else []
            held = f"gradients of weights, {human(self.gradient_bytes, 'B')}, are resident too"
            gradients = [held] if self.gradient_bytes else []
            return Sheet(title, [Table(("", *COLUMNS), rows)], at + gradients)
        left_out = ["bytes_moved", "resident_bytes"]
        if len(self.free_symbols) > _OPEN:
            left_out.append("activation_bytes")
        shown = [metric for metric in METRICS if metric not in left_out]
        tables = [
            Table(("", "formula"), [(LABELS[name], cell(self.figure(name))) for name in shown])
        ]
        if self.parts:
            parts = [(name, cell(part.flops)) for name, part in self.parts.items()]
            tables.append(Table(("part", "FLOPs"), parts))
        return Sheet(title, tables, [f"not shown, but figures too: {', '.join(left_out)}"])

    # The figures.

    def figure(self, metric: str) -> Amount:
        """A figure by its name, one of METRICS."""
        if metric not in METRICS:
            raise InputError(f"metric is {metric!r}; allowed: {', '.join(METRICS)}")
        amount: Amount = getattr(self, metric)
        return amount

    def compile(
        self, metrics: str | Sequence[str] | None = None, *, dtype: str | None = None
    ) -> Compiled:
        """Figures as a fast function of sizes, numbers or arrays, by the names of their symbols.

        Parameters
        ----------
        metrics : str or sequence of str, optional
            One of METRICS, or several, all unless given; of several the function returns a
            dictionary.
        dtype : {None, "float64"}
            Exact, or rounded to float64 with a relative error that the function states.

        Examples
        --------
        >>> import symcost
        >>> from symcost.symbols import B, K
        >>> model = symcost.load("deepseek-ocr")
        >>> model.start_decode(symcost.SyntheticKVCache(B, K))
        SyntheticKVCache(batch_size=B, length=K)
        >>> flops = model.get_forward_cost().compile("matrix_flops")
        >>> flops(B=8, K=924)
        9640204800
        >>> flops(B=[[1], [8]], K=[924, 1024])
        array([[1205026560, 1211170560],
               [9640204800, 9689356800]])
        """
        from symcost.numeric.compiled import Compiled  # noqa: PLC0415 - numba takes time to load

        single = isinstance(metrics, str)
        asked = METRICS if metrics is None else (metrics,) if isinstance(metrics, str) else metrics
        formulas = {metric: as_rational(self.figure(metric)) for metric in asked}
        return Compiled(formulas, single=single, dtype=dtype)

    def _traffic(self, direction: Direction) -> Expr:
        return sp.Add(*(self[Traffic(kind, direction)].amount for kind in Kind))

    @property
    def macs(self) -> Amount:
        """Multiply-accumulates of the matrix engine."""
        return simplest(self[MACS].amount)

    @property
    def matrix_flops(self) -> Amount:
        """FLOPs of the matrix engine, two for each multiply-accumulate."""
        return simplest(2 * self[MACS].amount)

    @property
    def vector_flops(self) -> Amount:
        """FLOPs of everything else, at the documented cost per element."""
        return simplest(self[VECTOR_FLOPS].amount)

    @property
    def flops(self) -> Amount:
        """Matrix and vector FLOPs together."""
        return simplest(2 * self[MACS].amount + self[VECTOR_FLOPS].amount)

    @property
    def bytes_read(self) -> Amount:
        """Bytes that kernels read from memory."""
        return simplest(self._traffic(Direction.READ))

    @property
    def bytes_written(self) -> Amount:
        """Bytes that kernels write to memory."""
        return simplest(self._traffic(Direction.WRITTEN))

    @property
    def bytes_moved(self) -> Amount:
        """Bytes read and written."""
        return simplest(self._traffic(Direction.READ) + self._traffic(Direction.WRITTEN))

    @property
    def weight_bytes(self) -> Amount:
        """Bytes of the resident weights, shared ones once."""
        return simplest(self[Storage(Kind.WEIGHT)].amount)

    @property
    def kv_bytes(self) -> Amount:
        """Bytes of the KV cache after the pass."""
        return simplest(self[Storage(Kind.KV)].amount)

    @property
    def gradient_bytes(self) -> Amount:
        """Bytes of the gradients of weights after a backward pass."""
        return simplest(self[Storage(Kind.GRADIENT)].amount)

    @property
    def activation_bytes(self) -> Amount:
        """Bytes of live activations at the moment when they are most."""
        return simplest(self[Storage(Kind.ACTIVATION)].amount)

    @property
    def resident_bytes(self) -> Amount:
        """Bytes that are held at once: weights, cache, gradients and the peak of activations."""
        return simplest(sp.Add(*(self[Storage(kind)].amount for kind in Kind)))

    @property
    def peak_path(self) -> str:
        """The module path at which live activations are most, of a cost in numbers; else none."""
        moments = self.moments
        if not moments or not all(amount.is_Rational for _, amount in moments):
            return ""
        return max(moments, key=lambda moment: moment[1])[0]

    @property
    def moments(self) -> tuple[tuple[str, Expr], ...]:
        """Live activations in bytes at each kernel: what the peak is the maximum of."""
        live = Storage(Kind.ACTIVATION)
        return tuple((e.path, e.amount) for e in self.entries if e.resource == live)

    @property
    def intensity(self) -> Any:
        """FLOPs per byte moved: a float, or a formula; zero where nothing runs."""
        if self.bytes_moved == 0:
            return 0.0
        ratio = as_rational(self.flops) / as_rational(self.bytes_moved)
        return _scaled(ratio, 1)


def cost_rows(
    name: str, cost: Cost, depth: int = 0
) -> Iterator[tuple[str, int, tuple[Rounded, ...]]]:
    """A cost in numbers and its parts, a row each: name, depth, and the figures of COLUMNS."""
    yield name, depth, tuple(_shown(cost, metric) for metric in COLUMNS.values())
    for part, share in cost.parts.items():
        yield from cost_rows(part, share, depth + 1)


def _shown(cost: Cost, metric: str) -> Rounded:
    if metric == "intensity":
        moved = as_rational(cost.bytes_moved)
        ratio = as_rational(cost.flops) / moved if moved else 0
        return Rounded(decimal_text(ratio), str(ratio))
    return rounded(cost.figure(metric), "" if metric.endswith("flops") else "B")


def _is_formula(amount: Amount) -> bool:
    return isinstance(amount, sp.Expr) and not isinstance(amount, sp.Rational)


def _scaled(amount: Amount, unit: int) -> Any:
    ratio = as_rational(amount) / unit
    return float(ratio) if ratio.is_Rational else ratio


@dataclass(frozen=True, eq=False, repr=False)
class StageCost(Cost):
    """The cost of one stage, also in the units of a report: floats, or formulas."""

    @property
    def flops_tflops(self) -> Any:
        """FLOPs in units of 10^12."""
        return _scaled(self.flops, 10**12)

    @property
    def io_tb(self) -> Any:
        """Bytes read and written in units of 10^12."""
        return _scaled(self.bytes_moved, 10**12)

    @property
    def weights_gb(self) -> Any:
        """Resident weights in units of 10^9 bytes."""
        return _scaled(self.weight_bytes, 10**9)

    @property
    def activations_gb(self) -> Any:
        """The peak of live activations in units of 10^9 bytes."""
        return _scaled(self.activation_bytes, 10**9)

    @property
    def kv_gb(self) -> Any:
        """The KV cache in units of 10^9 bytes."""
        return _scaled(self.kv_bytes, 10**9)

    @property
    def arithmetic_intensity(self) -> Any:
        """FLOPs per byte moved."""
        return self.intensity


@dataclass(frozen=True, eq=False, repr=False)
class SequenceCost(StageCost):
    """The cost of stages that follow each other, such as a prefill and its decode steps."""

    @property
    def resident_bytes(self) -> Amount:
        """Bytes held at once: all weights all the time, and cache and activations of one stage."""
        stages = self.parts.values()
        held = (as_rational(s.kv_bytes) + as_rational(s.activation_bytes) for s in stages)
        return simplest(self[Storage(Kind.WEIGHT)].amount + largest(held))
