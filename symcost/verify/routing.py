"""How many distinct experts the real router makes a layer read, and what the real experts move.

Work does not depend on the routing, but the experts that are read do. This runs the mixture of
experts of one decoder layer at its full sizes in real memory, on random tokens and random weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt
from statistics import NormalDist
from typing import Any

import torch

from symcost.models.deepseek_ocr.config import published
from symcost.models.deepseek_ocr.routing import Assumption, touched
from symcost.verify.byte_counter import Moved, count
from symcost.verify.port import port

PATH = "model.language_model.layers.1.mlp"
"""The block that is run: the first one with experts. All of them are of one size."""

TOKENS = (1, 2, 4, 8, 16, 32, 64, 128)
CONFIDENCE = 0.9999


@dataclass(frozen=True)
class Touched:
    """The distinct experts that so many tokens choose together, as the real router was seen to.

    Parameters
    ----------
    tokens : int
        Tokens in one call of the layer.
    draws : int
        Calls that were drawn.
    mean : Fraction
        Distinct experts per call.
    half_width : float
        Of the interval around the mean at the level `CONFIDENCE`.
    expected : Fraction
        The mean that is stated, of uniform and independent routing.
    least, most : int
        What any routing lies between.
    """

    tokens: int
    draws: int
    mean: Fraction
    half_width: float
    expected: Fraction
    least: int
    most: int

    def agrees_with(self, expectation: Fraction) -> bool:
        """Whether the interval holds an expectation."""
        return abs(self.mean - expectation) <= self.half_width

    @property
    def holds(self) -> bool:
        """Whether the interval holds the mean under uniform and independent routing."""
        return self.agrees_with(self.expected)

    def __str__(self) -> str:
        return (
            f"{self.tokens} tokens touch {float(self.mean):.4f} ± {self.half_width:.4f} distinct "
            f"experts of the real router, {float(self.expected):.4f} are stated to be expected"
        )


@dataclass(frozen=True)
class Run:
    """The bytes of one real call of the block, and how many distinct experts it hit."""

    hit: int
    moved: Moved


def half_width(counts: torch.Tensor) -> float:
    """Half of the interval around the mean of some counts, at the level `CONFIDENCE`.

    The normal interval, widened by what the score interval of a rare event adds to it: where hardly
    a call differs from the others, the sample may show no spread at all.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    draws = counts.numel()
    return z * sqrt(counts.double().var().item() / draws) + z * z / draws


class RealExperts:
    """The real mixture of experts of one layer, in bf16 and in the port's own eager form.

    The router's weights are random and the experts' are zero: neither what they make of a token nor
    the shared experts have a say in what is read.
    """

    def __init__(self) -> None:
        self._model: Any = port()
        self._model.set_experts_implementation("eager")
        self._block: Any = self._model.get_submodule(PATH).to_empty(device="cpu")
        for parameter in self._block.parameters():
            parameter.data.zero_()

    def touched(
        self,
        tokens: Iterable[int] = TOKENS,
        *,
        routers: int = 64,
        tokens_each: int = 1024,
        likeness: float = 0.0,
        seed: int = 0,
    ) -> tuple[Touched, ...]:
        """The distinct experts of calls of each number of tokens, all cut from the same tokens.

        Parameters
        ----------
        tokens : iterable of int
            Tokens of a call, each at most `tokens_each`.
        routers : int
            Draws of the router's weights.
        tokens_each : int
            Tokens that each router sees.
        likeness : float
            The correlation of any two tokens of a router, from 0 to 1: real hidden states have much
            in common and then touch fewer experts.
        seed : int
            Of a generator of this call's own.
        """
        random = torch.Generator().manual_seed(seed)
        seen = torch.stack([self._choices(tokens_each, likeness, random) for _ in range(routers)])
        return tuple(self._together(seen, number) for number in tokens)

    def _together(self, seen: torch.Tensor, tokens: int) -> Touched:
        """What calls of so many tokens touch, of the choices (router, token, expert)."""
        stated, least, most = (
            touched(assumed, tokens, published().decoder)
            for assumed in (Assumption.EXPECTED, Assumption.LEAST, Assumption.MOST)
        )
        counts = seen.unfold(1, tokens, tokens).any(-1).sum(-1)
        return Touched(
            tokens,
            counts.numel(),
            Fraction(int(counts.sum()), counts.numel()),
            half_width(counts),
            Fraction(int(stated.p), int(stated.q)),
            int(least),
            int(most),
        )

    def _choices(self, tokens: int, likeness: float, random: torch.Generator) -> torch.Tensor:
        """Which of a new router's experts (token, expert) new tokens choose."""
        gate = self._block.gate
        gate.weight.data.normal_(generator=random)
        common, own = self._hidden(1, random), self._hidden(tokens, random)
        with torch.no_grad():
            _, _, numbers = gate(sqrt(likeness) * common + sqrt(1 - likeness) * own)
        chosen = torch.zeros(tokens, gate.num_experts, dtype=torch.bool)
        return chosen.scatter_(1, numbers, value=True)

    def _hidden(self, tokens: int, random: torch.Generator) -> torch.Tensor:
        weight = self._block.gate.weight
        return torch.empty(tokens, weight.shape[1], dtype=weight.dtype).normal_(generator=random)

    def run(self, tokens: int, *, seed: int = 0) -> Run:
        """One call of the block on random tokens: its bytes by module and operator."""
        random = torch.Generator().manual_seed(seed)
        self._block.gate.weight.data.normal_(generator=random)
        hidden = self._hidden(tokens, random)[None]
        given: list[torch.Tensor] = []
        hook = self._block.experts.register_forward_pre_hook(lambda _, args: given.append(args[1]))
        try:
            moved = count(self._model, lambda: self._block(hidden))
        finally:
            hook.remove()
        (numbers,) = given
        return Run(len(set(numbers.flatten().tolist())), moved)
