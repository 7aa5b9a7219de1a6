"""What a sweep computes: figures of the models that its points need, box by box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symcost.errors import InputError
from symcost.figures import formula_of
from symcost.models import load
from symcost.models.deepseek_ocr.config import DeepseekOCRConfig, published
from symcost.models.deepseek_ocr.geometry import SYMBOLIC
from symcost.models.deepseek_ocr.workload import symbolic_costs
from symcost.numeric.boxes import Box
from symcost.numeric.evaluation import Code, Evaluation
from symcost.numeric.forms import Forms
from symcost.sweeps.axes import Axes, shown
from symcost.sweeps.block import Block
from symcost.sweeps.legality import refuse_illegal
from symcost.sweeps.parts import parts_of
from symcost.sweeps.where import Condition, all_hold
from symcost.sweeps.workloads import Points, model_options

STAGES = ("vision", "prefill", "decode")
DEFAULT_METRICS = ("flops", "bytes_read", "bytes_written", "resident_bytes")


class Plan:
    """What is computed of each box; it can be sent to other processes.

    Parameters
    ----------
    model : str
        A model by name.
    axes : sequence of Axis, or mapping of names to values
        What changes.
    metrics : sequence of str, optional
        `STAGE.METRIC` or `STAGE.PART.METRIC`, of vision, prefill, decode and generation; a METRIC
        alone is that of the three stages.
    where : sequence of str
        Conditions that points are to hold.
    dtype : {None, "float64"}
        Exact integers, or rounded to float64.
    config : DeepseekOCRConfig, optional
        Instead of the published one.
    **options
        What is the same at all points: see `Points`.

    Raises
    ------
    InputError
        A name, value or point is illegal, or a figure does not fit into 64 bits.

    Attributes
    ----------
    points : Points
        The points.
    metrics : tuple of str
        The figures that were asked for.
    """

    def __init__(
        self,
        model: str,
        axes: Axes,
        metrics: Sequence[str] | None = None,
        *,
        where: Sequence[str] = (),
        dtype: str | None = None,
        config: DeepseekOCRConfig | None = None,
        **options: Any,
    ) -> None:
        if dtype not in (None, "float64"):
            raise InputError(f"dtype is {dtype!r}; allowed: None (exact), 'float64'")
        self.rounded = dtype is not None
        self.points = Points(axes, **options)
        self.where = tuple(map(Condition.parse, listed("where", where)))
        self._early, self._late = self.points.split(self.where)
        config = published() if config is None else config
        refuse_illegal(self.points, self._early, config.decoder)
        self.metrics = tuple(
            dict.fromkeys(
                name
                for m in listed("metrics", metrics or DEFAULT_METRICS)
                for name in _full_names(m)
            )
        )
        filtered = (name for condition in self._late for name in condition.names if "." in name)
        self._names = tuple(dict.fromkeys((*self.metrics, *filtered)))
        self.formulas: list[Mapping[str, Any]] = []
        self._figures: list[Evaluation] = []
        for setting in self.points.variants:
            built = load(
                model,
                config=config,
                views=SYMBOLIC if self.points.image else None,
                **model_options(setting),
            )
            costs = symbolic_costs(built)
            formulas = {name: formula_of(costs, name) for name in self._names}
            self.formulas.append(formulas)
            self._figures.append(
                Evaluation(Code(Forms(formulas)), self.points.ranges, real=self.rounded)
            )
            self._refuse_overflow(self._figures[-1], setting)
        self.dtypes = {name: self._dtype(at, name) for at, name in enumerate(self._names)}

    @staticmethod
    def _refuse_overflow(figures: Evaluation, setting: Mapping[str, Any]) -> None:
        told = "".join(f" with {name} {value}" for name, value in setting.items())
        if figures.overflow and not figures.in_machine_numbers:
            name, reach = figures.overflow
            raise InputError(
                f"{name} can reach {reach:.3g}{told}, beyond the 2^63 of exact integers; narrow "
                "the axes, or have figures rounded with --float64"
            )

    def _dtype(self, at: int, name: str) -> np.dtype[Any]:
        """The type of a column: that of all models, or float64 where it holds all of them."""
        found = {figures.dtypes[at] for figures in self._figures}
        if len(found) == 1 and np.dtype(object) not in found:
            return found.pop()
        if all(figures.exact_in_floats[at] for figures in self._figures):
            return np.dtype(np.float64)
        raise InputError(
            f"{name} is no whole number with these widths, nor exact in float64; have it "
            "rounded with --float64"
        )

    @property
    def relative_error(self) -> float:
        """The worst relative error of a figure in float64."""
        return max(figures.relative_error for figures in self._figures)

    def block(self, box: Box, needed: Sequence[str]) -> Block:
        """Some of the figures at the points of a box that hold the conditions."""
        held = np.broadcast_to(self.points.held(self._early, box), box.shape)
        columns: dict[str, NDArray[Any]] = {}
        if held.any():
            columns = self._columns(box)
            held = self._held_late(box, columns, held)
        else:
            columns = self._empty(box)
        if not self.where:
            return Block(box, None, {name: columns[name].reshape(-1) for name in needed})
        left = np.flatnonzero(held)
        return Block(
            box, box.first + left, {name: columns[name].reshape(-1)[left] for name in needed}
        )

    def _columns(self, box: Box) -> dict[str, NDArray[Any]]:
        parts = list(parts_of(self.points, box))
        if len(parts) == 1 and len(self._figures) == 1:
            found = self._of_part(parts[0].variant, parts[0].sizes, box.shape)
            return dict(zip(self._names, found, strict=True))
        columns = self._empty(box)
        for part in parts:
            shape = columns[self._names[0]][part.index].shape
            found = self._of_part(part.variant, part.sizes, shape)
            for name, figure in zip(self._names, found, strict=True):
                columns[name][part.index] = figure
        return columns

    def _empty(self, box: Box) -> dict[str, NDArray[Any]]:
        return {name: np.empty(box.shape, self.dtypes[name]) for name in self._names}

    def _of_part(
        self, variant: int, sizes: Mapping[str, NDArray[Any]], shape: tuple[int, ...]
    ) -> list[NDArray[Any]]:
        figures = self._figures[variant]
        return figures([sizes[name] for name in figures.names], shape)

    def _held_late(
        self, box: Box, columns: Mapping[str, NDArray[Any]], held: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        if not self._late:
            return held
        sizes = {n for condition in self._late for n in condition.names if "." not in n}
        known = {**columns, **self.points.columns(sizes, box)}
        return held & all_hold(self._late, known)


def listed(name: str, texts: Sequence[str]) -> Sequence[str]:
    """A sequence of texts, and no text by itself, whose letters would be taken for texts.

    Raises
    ------
    InputError
        It is a text.
    """
    if isinstance(texts, str):
        raise InputError(f"{name} is {shown(texts)}; allowed: a list of texts, [{shown(texts)}]")
    return texts


def _full_names(metric: str) -> list[str]:
    """A metric with its stage; of all stages where none is named."""
    return [metric] if "." in metric else [f"{stage}.{metric}" for stage in STAGES]
