"""What is asked about: a model on a workload, in which one size may be left open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import sympy as sp

from symcost.bounds import first_value
from symcost.cost import METRICS, Cost, SequenceCost, StageCost, Unit
from symcost.errors import InputError
from symcost.exact import Number, as_rational
from symcost.execution import Execution
from symcost.figures import cost_named, unit_of
from symcost.graph import Graph
from symcost.insight.collectives import AllReduce, sent_bytes
from symcost.insight.roofline import Rates, Resource, demands, seconds
from symcost.insight.signs import sign_chart
from symcost.insight.solving import Unknown
from symcost.insight.units import Dimension
from symcost.layers.kernels import BIASED_FLASH_ATTENTION, FLASH_ATTENTION
from symcost.models import load
from symcost.models.deepseek_ocr.collectives import Collective
from symcost.models.deepseek_ocr.executions import Executions
from symcost.models.deepseek_ocr.geometry import Views
from symcost.models.deepseek_ocr.model import DeepseekOCRModel
from symcost.models.deepseek_ocr.workload import (
    Build,
    Workload,
    symbolic_collectives,
    symbolic_costs,
)
from symcost.peaks import largest
from symcost.stages import SyntheticKVCache
from symcost.symbols import B, Expr, I_g, I_t, K, S, T, n_h, n_w

ANSWER = 1000
"""Steps behind a prefill, unless a workload says how many."""

_ATTENTION = (FLASH_ATTENTION, BIASED_FLASH_ATTENTION)

SHARES = ("attention", "experts", "rest")
"""What can be asked of any part besides its own: what a flash-attention kernel holds, without the
projections; the routed experts; and everything but attention."""
_EXPERTS = ".mlp.experts."

_PEAKS = ("activation_bytes", "resident_bytes")
"""Metrics that do not add up."""

TIMES: Mapping[str, tuple[Resource, ...]] = MappingProxyType(
    {
        "time": tuple(Resource),
        "compute_time": (Resource.MATRIX, Resource.VECTOR),
        **{f"{resource}_time": (resource,) for resource in Resource},
    }
)
"""Times on a device that a figure may be, and the engines whose slowest each one is."""

SIZES: Mapping[str, sp.Symbol] = MappingProxyType(
    {
        "batch": B,
        "context_len": S,
        "cached": K,
        "new_tokens": T,
        "base_size": I_g,
        "tile_size": I_t,
    }
)
"""What may be left open, besides the crop grid, and its symbol."""

CROPS = "crops"

FOLLOWING = frozenset({"context_len", "cached"})
"""What follows other sizes where it is not given: the context its page, the cache the context."""


class Subject:
    """A model on a workload, with at most one of its sizes left open.

    Parameters
    ----------
    build : callable
        Makes the model that sees the given views.
    workload : Workload
        The numbers of all sizes that are not left open.
    opened : str
        The size that is: one of SIZES, or "crops"; none unless given.
    of_mode : callable, optional
        The workload in another mode, for figures such as "large:vision.flops".
    all_reduce : AllReduce
        How devices make sums.
    fixed : frozenset of str
        Those of FOLLOWING that do not follow the open size.
    """

    def __init__(
        self,
        build: Build,
        workload: Workload,
        opened: str = "",
        of_mode: Callable[[str], Workload] | None = None,
        all_reduce: AllReduce = AllReduce.RING,
        fixed: frozenset[str] = frozenset(),
    ) -> None:
        self._all_reduce = all_reduce
        self._build, self.opened = build, opened
        self._of_mode = of_mode
        self.workload = workload
        self._views, self._following = _opened(workload, opened, fixed)
        self._model = build(self._views)

    @classmethod
    def of(
        cls,
        model: str,
        opened: str = "",
        *,
        execution: str | Executions = Execution.IDEAL,
        lm_head: str = "last",
        new_tokens: int = ANSWER,
        all_reduce: AllReduce = AllReduce.RING,
        assumed: Mapping[str, Any] = MappingProxyType({}),
        **sizes: Any,
    ) -> Self:
        """A model by name on a workload, at best unless told otherwise.

        Parameters
        ----------
        model : str
            A model by name.
        opened : str
            The size that is left open: one of SIZES, or "crops".
        execution, lm_head : str
            What `symcost.load` takes.
        new_tokens : int
            Steps behind the prefill.
        all_reduce : AllReduce
            How devices make sums.
        assumed : mapping
            What else `symcost.load` takes: reference, widths, routing, parallel, config.
        **sizes
            What `Workload.from_options` takes: image, mode, batch, context_len and so on.

        Examples
        --------
        >>> from symcost.insight import Subject, solve_conditions
        >>> page = Subject.of("deepseek-ocr", "batch", image="1654x2339")
        >>> solve_conditions(page, ["generation.resident_bytes <= 40GB"]).ranges
        ((1, 281),)
        """
        sizes |= {"new_tokens": new_tokens}

        def build(views: Views | None) -> DeepseekOCRModel:
            return load(model, views=views, execution=execution, lm_head=lm_head, **assumed)

        given = {name for name, value in sizes.items() if value is not None}

        def of_mode(mode: str) -> Workload:
            if own := sorted(given & {"base_size", "tile_size", "crop_grid"}):
                raise InputError(
                    f"{mode}: asks for a page in another mode, and {', '.join(own)} give none; "
                    "give the page as an image"
                )
            return Workload.from_options(**{**sizes, "mode": mode})

        workload = Workload.from_options(**sizes)
        return cls(build, workload, opened, of_mode, all_reduce, frozenset(given & FOLLOWING))

    @cached_property
    def costs(self) -> dict[str, StageCost]:
        """The closed forms of vision, prefill, decode and generation."""
        return symbolic_costs(self._model)

    @cached_property
    def bindings(self) -> dict[sp.Symbol, Number]:
        """The numbers of all sizes that are neither open nor follow the open one."""
        w = self.workload
        sizes = {B: w.batch, S: w.context_len, K: w.cached, T: w.new_tokens}
        free = {SIZES.get(self.opened), *self._following}
        return {symbol: value for symbol, value in sizes.items() if symbol not in free}

    @property
    def unknown(self) -> Unknown:
        """The size that is open, if it is not the crop grid.

        Raises
        ------
        InputError
            The context is too short for the smallest page.
        """
        symbol = SIZES[self.opened]
        first, last = first_value(symbol), None
        if symbol == S:
            first = max(first, self.workload.image_tokens)
        elif self.opened in _OF_VIEWS and S in self.bindings:
            last = self._largest_side(symbol, first)
        return Unknown(self.opened, symbol, first, last)

    def _largest_side(self, symbol: sp.Symbol, first: int) -> int | None:
        """The side of a view whose tokens the context still holds."""
        excess = sp.expand(self._image_tokens - self.workload.context_len)
        fits = sign_chart(excess, symbol, first).runs[0]
        if fits.sign > 0:
            raise InputError(
                f"context-len is {self.workload.context_len}; the smallest {self.opened} takes more"
            )
        return fits.last

    def holds(self, columns: int, rows: int) -> bool:
        """Whether the context has room for the tokens of a crop grid."""
        if S not in self.bindings:
            return True
        tokens = self._image_tokens.xreplace({n_w: sp.Integer(columns), n_h: sp.Integer(rows)})
        return bool(tokens <= self.workload.context_len)

    @property
    def _image_tokens(self) -> Expr:
        return sp.S.Zero if self._views is None else self._views.image_tokens

    @cached_property
    def _attention(self) -> frozenset[str]:
        """The operators of attention."""
        return frozenset(
            op.path
            for graphs in self._graphs()
            for graph in graphs.values()
            for op in graph.operations
            if op.kernel is not None and op.kernel.fusion in _ATTENTION
        )

    def _graphs(self) -> Iterator[Mapping[str, Graph]]:
        self._model.start_prefill(S, B)
        yield self._model.graphs
        self._model.start_decode(SyntheticKVCache(B, K))
        yield self._model.graphs

    @cached_property
    def collectives(self) -> dict[str, tuple[Collective, ...]]:
        """What a device exchanges with others, by stage, as formulas."""
        return symbolic_collectives(self._model)

    def sent(self, stage: str, cost: Cost) -> list[Expr]:
        """The bytes that a device sends in each collective behind a module of a stage's cost."""
        return [
            as_rational(sent_bytes(collective, self._all_reduce))
            for collective in self.collectives[stage]
            if cost.at(collective.path).entries
        ]

    def demands(self, stage: str, cost: Cost) -> dict[Resource, Expr]:
        """What a stage, or a part of one, asks of the engines of a device."""
        sent = self.sent(stage, cost)
        return demands(cost) | ({Resource.LINK: sp.Add(*sent)} if sent else {})

    def figure(self, name: str, rate: Rates | None = None) -> tuple[Expr, Dimension]:
        """The formula of a figure, in what is open and what is bound.

        Parameters
        ----------
        name : str
            `STAGE[.PART…][.attention|.rest].METRIC`, `ttft` or `tpot`; of another mode behind its
            name: `large:vision.flops`.
        rate : mapping of Resource to Fraction, optional
            What the device does per second, for times.

        Raises
        ------
        InputError
            A name is unknown, or a time is asked for without a device.
        """
        mode, colon, own = name.rpartition(":")
        if colon:
            return self._of(mode, own, rate)
        formula, dimension = self._named(name, rate)
        return formula.xreplace(self._following), dimension

    def _of(self, mode: str, name: str, rate: Rates | None) -> tuple[Expr, Dimension]:
        """A figure of the workload in another mode."""
        if self._of_mode is None or self.workload.views is None:
            raise InputError(f"{mode}:{name} asks for a mode; there is no page")
        if self.opened == "context_len":
            raise InputError(f"{mode}:{name} has a context of its own; open another size")
        shared = self.opened if self.opened in {"batch", "cached", "new_tokens"} else ""
        other = Subject(
            self._build,
            self._of_mode(mode),
            shared,
            all_reduce=self._all_reduce,
        )
        formula, dimension = other.figure(name, rate)
        numbers = {symbol: as_rational(value) for symbol, value in other.bindings.items()}
        return formula.xreplace(numbers), dimension

    def _named(self, name: str, rate: Rates | None) -> tuple[Expr, Dimension]:
        cost, metric = self._cost(f"{SHORT[name]}.time" if name in SHORT else name)
        if metric not in TIMES:
            if metric not in METRICS:
                allowed = ", ".join((*METRICS, *TIMES))
                raise InputError(f"figure {name!r} ends in {metric!r}; allowed: {allowed}")
            unit = unit_of(metric)
            dimension = Dimension.BYTES if unit is Unit.BYTES else Dimension.FLOPS
            return as_rational(cost.figure(metric)), dimension
        if rate is None:
            raise InputError(f"{name} is a time; give a device, such as --device H100-SXM")
        stage = SHORT.get(name, name.partition(".")[0])
        formula = self._time(stage, cost, TIMES[metric], rate, name)
        return formula / T if name == "tpot" else formula, Dimension.SECONDS

    def _time(
        self, stage: str, cost: Cost, engines: Sequence[Resource], rate: Rates, name: str
    ) -> Expr:
        """The time of the slowest of some engines; of what follows each other, together."""
        if isinstance(cost, SequenceCost):
            parts = cost.parts.items()
            return sp.Add(*(self._time(of, part, engines, rate, name) for of, part in parts))
        took = seconds(self.demands(stage, cost), rate)
        found = [took[engine] for engine in engines if engine in took]
        if engines == (Resource.LINK,) and not found:
            raise InputError(
                f"{name}: devices exchange nothing there; spread the model over several"
            )
        if not found:
            raise InputError(f"{name} asks for a peak that the device does not state")
        return largest(found)

    def _cost(self, name: str) -> tuple[Cost, str]:
        """The cost that a figure is of, or the share of it that is attention or is not."""
        *path, metric = name.split(".")
        share = path.pop() if path and path[-1] in SHARES else None
        try:
            cost, _ = cost_named(self.costs, ".".join([*path, metric]))
        except InputError as error:
            raise InputError(f"{error}; of every part also {', '.join(SHARES)}") from None
        if share is None:
            return cost, metric
        if metric in _PEAKS:
            raise InputError(f"{name} is a peak, of which attention and the rest are no shares")
        return Cost(tuple(e for e in cost.entries if self._lies_in(share, e.path))), metric

    def _lies_in(self, share: str, path: str) -> bool:
        if share == "experts":
            return _EXPERTS in f"{path}."
        return (path in self._attention) is (share == "attention")


SHORT = {"ttft": "prefill", "tpot": "decode"}
"""The time to the first token, and that for each token behind it."""


def _opened(
    workload: Workload, name: str, fixed: frozenset[str]
) -> tuple[Views | None, dict[sp.Symbol, Expr]]:
    """The views in which a size is open, and the sizes that follow it, as formulas."""
    views = workload.views
    if name == "context_len":
        return views, {} if "cached" in fixed else {K: S}
    if name not in _OF_VIEWS:
        return views, {}
    if views is None:
        raise InputError(f"{name} is of an image; the workload has none")
    views = replace(views, **_OF_VIEWS[name])
    tokens = workload.context_len - workload.image_tokens + views.image_tokens
    following = {"context_len": (S, tokens), "cached": (K, tokens)}
    if "context_len" in fixed:
        return views, {}
    return views, dict(following[follower] for follower in following if follower not in fixed)


_OF_VIEWS: Mapping[str, Mapping[str, Expr]] = {
    "base_size": {"base_size": I_g},
    "tile_size": {"tile_size": I_t},
    CROPS: {"columns": n_w, "rows": n_h},
}
"""Sizes of the image, and what is open in the views."""
