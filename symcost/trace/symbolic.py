"""The real model under torch's fake tensors. Sizes may be symbols, and counts are then formulas.

Torch notes what it assumes of the sizes on its way, as ranges and guards. They are the domain of
validity of a trace and are kept with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import sympy as sp
import torch
from torch._dispatch.python import enable_python_dispatcher
from torch._dynamo.source import ConstantSource
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv
from torch.utils._sympy.functions import CleanDiv, FloorDiv, Mod, PythonMod
from torch.utils._sympy.numbers import int_oo

from symcost.errors import SymcostError
from symcost.symbols import Expr, as_expr
from symcost.trace.domain import region
from symcost.trace.traced import Trace
from symcost.verify.blind_spots import BLIND_SPOTS, BlindSpot, Counter, undeclared
from symcost.verify.counters import count
from symcost.verify.port import port

Sizes: TypeAlias = Mapping[sp.Symbol, Any]
"""Sizes as torch takes them, by symbol: an int, or a SymInt where the size is symbolic."""

Run: TypeAlias = Callable[[Any, Sizes], Any]
"""Runs a part of the model at some sizes."""

IN_TRACES = (
    BlindSpot(
        Counter.TORCH,
        "what interpolation is made of where sizes may be symbols: places and weights of "
        "neighbours, no product of matrices",
        ("aten.clamp", "aten._unsafe_index"),
    ),
    BlindSpot(
        Counter.TORCH,
        "looks at a tensor or takes in a constant: no arithmetic",
        ("prim.device", "aten.lift_fresh"),
    ),
)
"""Operators that run in traces only, and that the counter may pass over there."""


class TraceError(SymcostError):
    """Something in a trace that has no exact translation."""


def _quotient(dividend: Expr, divisor: Expr) -> Expr:
    return sp.floor(sp.cancel(dividend / divisor))


def _remainder(dividend: Expr, divisor: Expr) -> Expr:
    return sp.expand(dividend - divisor * _quotient(dividend, divisor))


_NODES: dict[type[sp.Basic], Callable[..., sp.Basic]] = {
    sp.Add: sp.Add,
    sp.Mul: sp.Mul,
    FloorDiv: _quotient,
    CleanDiv: _quotient,
    Mod: _remainder,
    PythonMod: _remainder,
    sp.And: sp.And,
    **{relation: relation for relation in (sp.Eq, sp.Ne, sp.Lt, sp.Le, sp.Gt, sp.Ge)},
}
"""The nodes of torch's expressions that have an exact translation, besides powers."""


def translated(expression: sp.Basic, names: Mapping[sp.Basic, sp.Symbol]) -> sp.Basic:
    """An expression or a guard of torch's in the symbols of symcost.

    Raises
    ------
    TraceError
        A symbol or a kind of node is none of those that are known.
    """
    if expression in (sp.true, sp.false) or isinstance(expression, sp.Integer):
        return expression
    if isinstance(expression, sp.Symbol):
        if expression not in names:
            raise TraceError(f"{expression} is none of the sizes that were given to the trace")
        return names[expression]
    if isinstance(expression, sp.Pow) and expression.exp.is_Integer and expression.exp > 0:
        return translated(expression.base, names) ** expression.exp
    rule = _NODES.get(expression.func)
    if rule is None:
        raise TraceError(
            f"{expression.func.__name__} in {expression} has no exact translation; give it one in "
            "symcost/trace/symbolic.py"
        )
    return rule(*(translated(argument, names) for argument in expression.args))


class Session:
    """The real model in a shape environment of its own.

    All traces of a session share its symbols and its guards: torch notes a guard once, so each
    trace is taken to hold only where all guards so far do.

    Parameters
    ----------
    hints : mapping of sympy.Symbol to int
        The sizes that may be symbolic, each with the value by which torch decides where it must.
    build : callable
        Makes the real model on the current device.
    """

    def __init__(
        self,
        hints: Mapping[sp.Symbol, int],
        build: Callable[[], Any] = lambda: port(device=None),
    ) -> None:
        self._env = ShapeEnv(duck_shape=False)
        self._mode = FakeTensorMode(shape_env=self._env, allow_non_fake_inputs=True)
        with self._mode:
            self.model = build()
        for name, tensor in (*self.model.named_parameters(), *self.model.named_buffers()):
            if not isinstance(tensor, FakeTensor):
                raise TraceError(f"{name} is a real tensor; a trace needs a model without values")
        self._names: dict[sp.Basic, sp.Symbol] = {}
        self._symbolic: dict[sp.Symbol, torch.SymInt] = {}
        for symbol, hint in hints.items():
            source = ConstantSource(symbol.name)
            theirs = self._env.create_symbol(
                hint, source, dynamic_dim=DimDynamic.DYNAMIC, constraint_dim=None
            )
            made = self._env.create_symintnode(theirs, hint=hint, source=source)
            if not isinstance(made, torch.SymInt):
                raise TraceError(f"torch takes {symbol} for the number {made}")
            self._names[theirs], self._symbolic[symbol] = symbol, made

    def trace(
        self,
        sizes: Mapping[sp.Symbol, int | sp.Symbol],
        run: Run,
        *,
        inside: str = "",
        within: tuple[str, ...] = ("",),
    ) -> Trace:
        """Run a part of the model at some sizes under the counter.

        Parameters
        ----------
        sizes : mapping of sympy.Symbol to int or sympy.Symbol
            Each size as a number, or as itself where it is to stay symbolic.
        run : callable
            What to run.
        inside : str
            The path of a module whose parts are called directly.
        within : tuple of str
            The modules of which the trace speaks.

        Raises
        ------
        TraceError
            A count or a guard has no exact translation.
        DomainError
            A guard is no equation or inequality of sizes.
        """
        given = {
            symbol: size if isinstance(size, int) else self._symbolic[symbol]
            for symbol, size in sizes.items()
        }
        with self._mode, enable_python_dispatcher():
            seen = count(self.model, lambda: run(self.model, given), inside=inside)
        guards = self._guards()
        gaps = undeclared(Counter.TORCH, seen, (*BLIND_SPOTS, *IN_TRACES))
        return Trace(
            sizes={symbol: as_expr(size) for symbol, size in sizes.items()},
            region=region([*self._ranges(sizes), *guards]),
            guards=guards,
            counted={path: self._formula(seen.of(path)) for path in seen.by_module},
            undeclared=tuple(map(str, gaps)),
            within=within,
        )

    def _ranges(self, sizes: Mapping[sp.Symbol, int | sp.Symbol]) -> Iterator[sp.Basic]:
        ranges = {self._names[theirs]: r for theirs, r in self._env.var_to_range.items()}
        for symbol, size in sizes.items():
            if isinstance(size, int):
                yield sp.Eq(symbol, size)
            else:
                yield sp.Ge(symbol, int(ranges[symbol].lower))
                if ranges[symbol].upper != int_oo:
                    yield sp.Le(symbol, int(ranges[symbol].upper))

    def _guards(self) -> tuple[sp.Basic, ...]:
        if self._env.deferred_runtime_asserts:
            raise TraceError("torch left an assumption on a size to the run itself")
        guards = (translated(guard.expr, self._names) for guard in self._env.guards)
        return tuple(guard for guard in dict.fromkeys(guards) if guard != sp.true)

    def _formula(self, flops: Any) -> Expr:
        if isinstance(flops, int):
            return sp.Integer(flops)
        return sp.expand(translated(flops.node.expr, self._names))
