"""Torch's FlopCounterMode on the real model, module by module, and what it passes over in silence.

The counter asks a tracker in which modules it is. Torch's own tracker loses its way in the backward
pass of modules that are given or return more than one tensor, so another takes its place here: it
knows the place of an operator of the backward pass by the number of the autograd node that runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch.autograd import _get_sequence_nr  # type: ignore[attr-defined]
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from symcost.paths import enclosing

ROOT = "Global"
"""The counter's name for the whole."""


@dataclass(frozen=True)
class Count:
    """What a counter saw.

    Parameters
    ----------
    by_module : mapping of str to mapping of str to int
        FLOPs, or what the counter takes for them, by module path and operator; the whole is the
        path "". A SymInt where sizes are symbolic.
    uncounted : mapping of str to str
        Operators that ran and that the counter does not know, with the first module that ran each.
    """

    by_module: Mapping[str, Mapping[str, Any]]
    uncounted: Mapping[str, str] = field(default_factory=dict)

    def of(self, path: str) -> Any:
        """The count of a module, zero where it did not run."""
        return sum(self.by_module.get(path, {}).values())


class ModulePaths:
    """Knows in which modules of a model torch is, also in the backward pass.

    Parameters
    ----------
    model : torch.nn.Module
        The model; paths are those of its `named_modules`.
    inside : str
        The path of a module whose method is called directly, so that no hook tells of it.
    """

    def __init__(self, model: torch.nn.Module, inside: str = "") -> None:
        self._paths = {module: path for path, module in model.named_modules()}
        self._outside = (ROOT, *enclosing(inside))
        self._open: list[tuple[str, int]] = []
        self._nodes: list[tuple[int, int, str]] = []

    def __enter__(self) -> ModulePaths:
        self._hooks = (
            register_module_forward_pre_hook(self._entered),
            register_module_forward_hook(self._left),
        )
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _entered(self, module: torch.nn.Module, _: Any) -> None:
        if module in self._paths:
            self._open.append((self._paths[module], _get_sequence_nr()))

    def _left(self, module: torch.nn.Module, *_: Any) -> None:
        if module in self._paths:
            path, first = self._open.pop()
            self._nodes.append((first, _get_sequence_nr(), path))

    @property
    def parents(self) -> set[str]:
        """The paths of all modules that run, forward or backward, and of what holds them."""
        node = torch._C._current_autograd_node()
        if node is None:
            running = [path for path, _ in self._open]
        else:
            number = node._sequence_nr()
            running = [path for first, end, path in self._nodes if first <= number < end]
        return {*self._outside, *chain.from_iterable(map(enclosing, running))}


class _Unknown(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operator that reaches the kernels and that the counter does not know."""

    supports_higher_order_operators = True

    def __init__(self, tracker: ModulePaths, known: Mapping[Any, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tracker = tracker
        self._known = known
        self.seen: dict[str, str] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        packet = getattr(func, "overloadpacket", func)
        name = str(packet)
        if packet not in self._known and name not in self.seen:
            self.seen[name] = max(self._tracker.parents - {ROOT}, key=len)
        return func(*args, **(kwargs or {}))


@contextmanager
def _counting(model: torch.nn.Module, inside: str) -> Iterator[Callable[[], Count]]:
    """Counts while it lasts; what it yields tells the counts so far, by module and operator."""
    tracker = ModulePaths(model, inside)
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = tracker  # type: ignore[assignment]
    with _Unknown(tracker, counter.flop_registry) as unknown, counter:
        yield lambda: Count(
            {
                path: {str(operator): flops for operator, flops in by_operator.items()}
                for path, by_operator in counter.get_flop_counts().items()
                if path != ROOT
            },
            dict(unknown.seen),
        )


def count(model: torch.nn.Module, run: Callable[[], Any], *, inside: str = "") -> Count:
    """What FlopCounterMode counts of the model while something runs without gradients."""
    with torch.no_grad(), _counting(model, inside) as counted:
        run()
        return counted()


def count_both(
    model: torch.nn.Module, run: Callable[[], Any], *, inside: str = ""
) -> tuple[Count, Count]:
    """What FlopCounterMode counts in a forward pass and in `backward()` of its results' sum."""
    with _counting(model, inside) as counted:
        made = run()
        forward = counted()
        sum(x.sum() for x in (made if isinstance(made, tuple) else (made,))).backward()
        both = counted()
    for parameter in model.parameters():
        parameter.grad = None
    return forward, Count(
        {
            path: {
                operator: flops - forward.by_module.get(path, {}).get(operator, 0)
                for operator, flops in by_operator.items()
            }
            for path, by_operator in both.by_module.items()
        },
        both.uncounted,
    )
