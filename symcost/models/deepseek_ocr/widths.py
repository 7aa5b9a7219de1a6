"""Bytes per element of what a model keeps in memory."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction
from typing import ClassVar

import sympy as sp

from symcost.errors import InputError
from symcost.exact import Number
from symcost.symbols import Expr, w_a, w_kv, w_w


@dataclass(frozen=True)
class Widths:
    """Bytes per element of weights, activations and the KV cache; bf16 unless given.

    What the reference computes in float32 or indexes with int64 keeps its width.
    """

    weights: Number | Expr = 2
    activations: Number | Expr = 2
    kv: Number | Expr = 2

    SYMBOLIC: ClassVar[Widths]

    @property
    def bindings(self) -> dict[sp.Symbol, Number | Expr]:
        """The widths by their symbols."""
        return {w_w: self.weights, w_a: self.activations, w_kv: self.kv}

    @classmethod
    def parse(cls, text: str) -> Widths:
        """Read `weights=2,activations=2,kv=1/2`; what is not named is 2."""
        names = [field.name for field in fields(cls)]
        allowed = f"allowed: NAME=BYTES for {', '.join(names)}, such as weights=1/2,kv=1"
        values: dict[str, Number] = {}
        for item in text.split(","):
            name, _, number = item.partition("=")
            if name not in names or name in values:
                raise InputError(f"width is {text!r}; {allowed}")
            try:
                values[name] = Fraction(number)
            except (ValueError, ZeroDivisionError):
                raise InputError(f"width {name} is {number!r}; {allowed}") from None
            if values[name] <= 0:
                raise InputError(f"width {name} is {number}; a width is positive")
        return cls(**values)


Widths.SYMBOLIC = Widths(w_w, w_a, w_kv)
