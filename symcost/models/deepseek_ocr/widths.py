"""Bytes per element of what a model keeps in memory, as a whole and by part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar

import sympy as sp

from symcost.assignments import assignments, refusal
from symcost.errors import InputError
from symcost.exact import Number, as_rational, rational
from symcost.symbols import Expr, info_of, w_a, w_kv, w_w

_SYMBOLS = {"weights": w_w, "activations": w_a, "kv": w_kv}

_PLACES = {
    "vision": ("model.vision_tower", "model.multi_modal_projector"),
    "experts": (".mlp.experts",),
    "lm_head": ("lm_head",),
}
"""The parts that may have widths of their own, by what their module paths hold."""

_OF_PARTS = ("vision.weights", "vision.activations", "experts.weights", "lm_head.weights")


@dataclass(frozen=True)
class Widths:
    """Bytes per element of weights, activations and the KV cache; bf16 unless given.

    What the reference computes in float32 or indexes with int64 keeps its width.

    Parameters
    ----------
    weights, activations, kv : int, Fraction or sympy.Expr
        The widths of the whole model.
    parts : mapping of str to int, Fraction or sympy.Expr
        Widths of "vision.weights", "vision.activations", "experts.weights" and "lm_head.weights"
        where they are others. A width may hold what scales take: weights of 4 bits with a scale of
        two bytes for each 128 of them take 1/2 + 2/128.
    """

    weights: Number | Expr = 2
    activations: Number | Expr = 2
    kv: Number | Expr = 2
    parts: Mapping[str, Number | Expr] = field(default_factory=dict)

    SYMBOLIC: ClassVar[Widths]

    def __post_init__(self) -> None:
        for name, width in self.parts.items():
            if name not in _OF_PARTS:
                raise InputError(f"width {name!r} is unknown; allowed: {', '.join(_OF_PARTS)}")
            if not isinstance(width, sp.Expr):
                info_of(_SYMBOLS[name.partition(".")[2]]).check(width)
        object.__setattr__(self, "parts", MappingProxyType(dict(self.parts)))

    def __str__(self) -> str:
        whole = {"weights": self.weights, "activations": self.activations, "kv": self.kv}
        return ",".join(f"{name}={width}" for name, width in (whole | dict(self.parts)).items())

    @property
    def bindings(self) -> dict[sp.Symbol, Number | Expr]:
        """The widths of the whole model by their symbols."""
        return {w_w: self.weights, w_a: self.activations, w_kv: self.kv}

    def of_part(self, path: str) -> dict[sp.Symbol, Expr]:
        """The widths that differ from the whole model's for what runs or lies at a path."""
        own = {}
        for name, width in self.parts.items():
            part, _, what = name.partition(".")
            if any(place in path for place in _PLACES[part]):
                own[_SYMBOLS[what]] = as_rational(width)
        return own

    @classmethod
    def parse(cls, text: str) -> Widths:
        """Read `weights=2,kv=1,experts.weights=1/2+2/128`; what is not named is 2."""
        names = (*_SYMBOLS, *_OF_PARTS)
        allowed = f"NAME=BYTES for {', '.join(names)}, such as kv=1 or experts.weights=1/2+2/128"
        values: dict[str, Number] = {}
        for name, number in assignments("width", text, names, allowed).items():
            try:
                terms = [rational(term) for term in number.split("+")]
            except ValueError:
                raise refusal(f"width {name}", number, allowed) from None
            if min(terms) <= 0:
                raise InputError(f"width {name} is {number}; a width is positive")
            values[name] = sum(terms)
        parts = {name: values.pop(name) for name in _OF_PARTS if name in values}
        return cls(**values, parts=parts)


Widths.SYMBOLIC = Widths(w_w, w_a, w_kv)
