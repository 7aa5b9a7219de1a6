"""How a model is spread over devices: what of it one device, the busiest, has and does."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import ClassVar

from symcost.assignments import assignments, refusal
from symcost.errors import DomainError, InputError
from symcost.models.deepseek_ocr.config import DecoderConfig
from symcost.symbols import Expr, Size, as_expr, ceil_div, p_d, p_e, p_t

_DEGREE = re.compile(r"[1-9]\d{0,8}", re.ASCII)


@dataclass(frozen=True)
class Parallel:
    """A grid of `data` replicas of `tensor` devices each, and how the work is spread over it.

    * The batch is that of all devices; each replica has an equal share of its sequences.
    * The devices of a replica share the attention heads, the width of the dense MLP, of the shared
      experts and of each routed expert, and the vocabulary of embedding and head (Megatron-LM,
      arXiv:1909.08053). Norms, router, residuals and rotary tables are on each of them.
    * `expert` replicas share the routed experts (DeepSpeed-MoE, arXiv:2201.05596). Routing is
      balanced: the replicas have as many tokens, and the experts of a device get as many rows as
      its own tokens send to all experts.
    * Pages are spread over all devices, with the whole vision tower on each (data parallel vision,
      as of vLLM's mm-encoder-tp-mode).

    What does not divide is rounded up: figures are those of the device with most. Collectives run
    between its operators (`symcost.models.deepseek_ocr.collectives`); buffers of theirs, such as
    the gathered logits, and what they move in the memory of a device are in no figure.

    Parameters
    ----------
    tensor, expert, data : int or sympy.Expr
        The degrees. Of numbers, expert divides data.
    """

    tensor: Size = 1
    expert: Size = 1
    data: Size = 1

    SYMBOLIC: ClassVar[Parallel]

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name))
        rest = as_expr(self.data) % as_expr(self.expert)
        if rest.is_number and rest != 0:
            raise InputError(
                f"parallel expert is {self.expert}; allowed: what divides data={self.data}, whose "
                "replicas share the experts"
            )

    @classmethod
    def parse(cls, text: str) -> Parallel:
        """Read `tensor=2,expert=4,data=4`; what is not named is 1."""
        names = [field.name for field in fields(cls)]
        allowed = f"NAME=DEVICES for {', '.join(names)}, such as tensor=2,expert=4,data=4"
        given = assignments("parallel", text, names, allowed)
        if not all(map(_DEGREE.fullmatch, given.values())):
            raise refusal("parallel", text, allowed)
        return cls(**{name: int(degree) for name, degree in given.items()})

    def __str__(self) -> str:
        return ",".join(f"{field.name}={getattr(self, field.name)}" for field in fields(self))

    @property
    def devices(self) -> Size:
        """All devices."""
        return self.data * self.tensor

    def share(self, size: Size) -> Expr:
        """The part of a size that a device of a replica has."""
        return _over(size, self.tensor)

    def held(self, experts: Size) -> Expr:
        """The routed experts that lie on a device."""
        return _over(experts, self.expert)

    def sequences(self, batch: Size) -> Expr:
        """The sequences of a replica."""
        return _over(batch, self.data)

    def pages(self, batch: Size) -> Expr:
        """The pages that a device looks at."""
        return _over(batch, self.devices)

    def require_fit(self, config: DecoderConfig) -> None:
        """Raise where a decoder cannot be split so that devices have whole, equal groups.

        Raises
        ------
        InputError
            There are more devices than heads; heads that share keys and values come apart; or
            replicas have different numbers of experts.
        """
        tensor, expert = as_expr(self.tensor), as_expr(self.expert)
        heads, shared = config.heads, config.kv_heads
        if tensor.is_number and tensor > heads:
            raise InputError(
                f"parallel tensor is {tensor}; allowed: at most the {heads} attention heads"
            )
        whole = tensor.is_number and (
            shared % tensor == 0 or (tensor % shared == 0 and heads % tensor == 0)
        )
        if tensor != 1 and heads != shared and not whole:
            raise InputError(
                f"parallel tensor is {tensor}; allowed: a number that divides the {shared} key and "
                f"value heads, or one that they divide and that divides the {heads} heads"
            )
        rest = config.experts % expert
        if rest.is_number and rest != 0:
            raise InputError(
                f"parallel expert is {expert}; allowed: what divides the {config.experts} routed "
                "experts"
            )


def _check(name: str, degree: Size) -> None:
    try:
        number = as_expr(degree)
    except DomainError:
        number = as_expr(0)
    if number.is_number and number < 1:
        raise InputError(f"parallel {name} is {degree!r}; allowed: a positive integer")


def _over(size: Size, devices: Size) -> Expr:
    """The largest of equal shares; a size that is not shared stays as it is written."""
    return as_expr(size) if devices == 1 else ceil_div(size, devices)


Parallel.SYMBOLIC = Parallel(p_t, p_e, p_d)

ONE_DEVICE = Parallel()
