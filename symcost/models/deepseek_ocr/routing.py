"""How many distinct experts the tokens of a call touch: what routing decides of traffic."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import StrEnum
from fractions import Fraction
from typing import ClassVar, TypeAlias

import sympy as sp

from symcost.assignments import assignments, refusal
from symcost.errors import InputError
from symcost.exact import rational
from symcost.models.deepseek_ocr.config import DecoderConfig
from symcost.models.deepseek_ocr.parallel import ONE_DEVICE, Parallel
from symcost.symbols import Expr, Size, U, as_expr


class Assumption(StrEnum):
    """What is assumed of the routing. Work is the same under all of them."""

    EXPECTED = "expected"
    """The expectation where each token chooses k of E experts by itself, all equally likely."""
    MOST = "most"
    """Tokens share as few experts as possible: min(E, k·n) of n tokens."""
    LEAST = "least"
    """All tokens choose the same k experts."""


Touched: TypeAlias = Assumption | Fraction | Expr
"""An assumption, the measured fraction of the experts that are touched, or a formula."""


@dataclass(frozen=True)
class Routing:
    """Distinct experts that a layer touches in a call, by stage."""

    prefill: Touched = Assumption.EXPECTED
    decode: Touched = Assumption.EXPECTED

    SYMBOLIC: ClassVar[Routing]

    @classmethod
    def parse(cls, text: str) -> Routing:
        """Read one assumption or measured fraction for both stages, or `prefill=1,decode=0.55`.

        A stage that is not named has the expectation.
        """
        stages = [field.name for field in fields(cls)]
        allowed = (
            f"{', '.join(Assumption)}, a measured fraction of the experts above 0 and up to 1, or "
            f"STAGE=VALUE for {', '.join(stages)}, such as decode=0.55"
        )

        def value(given: str) -> Touched:
            if given in list(Assumption):
                return Assumption(given)
            try:
                fraction = rational(given)
            except ValueError:
                fraction = Fraction()
            if not 0 < fraction <= 1:
                raise refusal("experts", text, allowed)
            return fraction

        if "=" not in text:
            return cls(value(text), value(text))
        given = assignments("experts", text, stages, allowed)
        return cls(**{stage: value(amount) for stage, amount in given.items()})

    def __str__(self) -> str:
        if self.prefill == self.decode:
            return str(self.prefill)
        return f"prefill={self.prefill},decode={self.decode}"


Routing.SYMBOLIC = Routing(U, U)


def touched(
    assumed: Touched, tokens: Size, config: DecoderConfig, parallel: Parallel = ONE_DEVICE
) -> Expr:
    """The distinct experts of a layer that so many tokens touch, of those that lie on a device.

    An expectation or a fraction is rounded to whole weights of an expert's matrix, so that what is
    read of it is a whole number of weights.

    Parameters
    ----------
    tokens : int or sympy.Expr
        The tokens of one replica. Those of all replicas that share the experts choose among them;
        in balanced routing the experts of a device get as many rows as its own tokens choose.

    Raises
    ------
    InputError
        A measured fraction is of fewer experts than one token chooses, or of more than the tokens
        can choose.
    """
    count, chosen = as_expr(tokens), config.experts_per_token
    held, least = parallel.held(config.experts), parallel.held(chosen)
    if assumed is Assumption.LEAST:
        return least
    most = sp.Min(held, chosen * count)
    if assumed is Assumption.MOST:
        return most
    weights = config.hidden * parallel.share(config.expert_mlp)
    if assumed is Assumption.EXPECTED:
        return _expected(config, held, weights, count * parallel.expert)
    if not isinstance(assumed, Fraction):
        return assumed
    share = sp.Rational(assumed.numerator, assumed.denominator) * held
    if share.is_number and (share < least or (most.is_number and share > most)):
        bounds = f"{least} to {most}" if most.is_number else f"at least {least}"
        raise InputError(
            f"experts is {float(assumed):g}, {float(share):g} of {held}; allowed for {count} "
            f"tokens in a call: {bounds} of {held}"
        )
    return _in_whole_weights(share, weights)


def _expected(config: DecoderConfig, held: Expr, weights: Expr, tokens: Expr) -> Expr:
    """The expectation E (1 - (1 - k/E)^n), which from some n on is E in whole weights.

    Of the experts that lie on a device it is their share.
    """
    experts, chosen = config.experts, config.experts_per_token
    if chosen == experts:
        return held
    missed = sp.Rational(experts - chosen, experts)
    # So many tokens leave less than half a weight; two more make up for what floats may lose.
    all_weights = experts * config.hidden * config.expert_mlp
    enough = math.ceil(math.log(2 * all_weights) / -math.log(missed)) + 2
    power = missed ** sp.Min(tokens, enough)
    return _in_whole_weights(held * (1 - power), weights)


def _in_whole_weights(count: Expr, weights: Expr) -> Expr:
    return sp.floor(count * weights + sp.Rational(1, 2)) / weights
