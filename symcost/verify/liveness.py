"""Live activations of the real model: memory that its operators take until nobody looks at it.

Memory is taken where an operator makes a tensor with a storage of its own, and let go of where the
last tensor that looks at the storage dies: in Python with its last name, in torch with the operator
that is composed of others. Weights and buffers are none. Of the cache, what each layer holds is
none: its old entry until there is a new one, and then that. An old entry that is still looked at
beside the new one is a copy, and counts.
"""

from __future__ import annotations

import sys
import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import DynamicCache

from symcost.verify.counters import ROOT, ModulePaths


@dataclass(frozen=True)
class Moment:
    """Live activations when an operator is done, with what it was given and what it made.

    Parameters
    ----------
    modules : frozenset of str
        The paths of the modules that run; the whole is the path "".
    live : int
        Bytes of activations.
    cached : int
        Bytes of the cache.
    """

    operator: str
    modules: frozenset[str]
    live: int
    cached: int

    @property
    def place(self) -> str:
        """The operator and the innermost module."""
        return f"{self.operator} in {max(self.modules, key=len)}"


@dataclass(frozen=True)
class Liveness:
    """The moments of a pass."""

    moments: tuple[Moment, ...]

    def peak(self, path: str = "") -> Moment:
        """The moment of most live activations while a module runs."""
        running = (moment for moment in self.moments if path in moment.modules)
        return max(running, key=lambda moment: moment.live)

    @property
    def resident(self) -> int:
        """The most bytes of activations and cache together."""
        return max(moment.live + moment.cached for moment in self.moments)


@dataclass(eq=False)
class _Memory:
    """A storage: the operator that made it, the last one before it was let go of, and its looks.

    It belongs to the cache until the operator that makes what takes its place there.
    """

    size: int
    born: int
    died: int = sys.maxsize
    looks: int = 0
    replaced: int = 0


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, tracker: ModulePaths, weights: Iterable[torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tracker = tracker
        self._weights = {_storage(tensor) for tensor in weights}
        self._alive: dict[int, _Memory] = {}
        self.taken: list[_Memory] = []
        self.operators: list[tuple[str, frozenset[str]]] = []

    def see(self, tensor: torch.Tensor) -> _Memory:
        """The memory of a tensor, which is taken for alive until the tensor dies."""
        storage = _storage(tensor)
        memory = self._alive.get(storage)
        if memory is None:
            # The address of a storage that is gone may come again: then it is another one.
            memory = _Memory(tensor.untyped_storage().nbytes(), len(self.operators))
            self._alive[storage] = memory
            self.taken.append(memory)
        memory.looks += 1
        weakref.finalize(tensor, self._unsee, storage).atexit = False
        return memory

    def _unsee(self, storage: int) -> None:
        memory = self._alive[storage]
        memory.looks -= 1
        if memory.looks == 0:
            memory.died = len(self.operators)
            del self._alive[storage]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        modules = frozenset(self._tracker.parents - {ROOT}) | {""}
        self.operators.append((str(func.overloadpacket), modules))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor) and _storage(tensor) not in self._weights:
                self.see(tensor)
        return made

    def moments(self) -> Iterable[Moment]:
        """The moments, from what came and went."""
        end = len(self.operators) + 1
        live, cached = Counter[int](), Counter[int]()
        for memory in self.taken:
            for change, begin, last in (
                (cached, memory.born, memory.replaced),
                (live, max(memory.born, memory.replaced), min(memory.died + 1, end)),
            ):
                if begin < last:
                    change[begin] += memory.size
                    change[last] -= memory.size
        activations, entries = live[0], cached[0]
        for index, (operator, modules) in enumerate(self.operators, 1):
            activations += live[index]
            entries += cached[index]
            yield Moment(operator, modules, activations, entries)


def _storage(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _entries(cache: DynamicCache | None) -> list[torch.Tensor]:
    layers: list[Any] = [] if cache is None else list(cache.layers)
    return [entry for layer in layers for entry in (layer.keys, layer.values)]


def measure(
    model: torch.nn.Module,
    run: Callable[[], Any],
    *,
    given: Iterable[torch.Tensor] = (),
    cache: DynamicCache | None = None,
    inside: str = "",
) -> Liveness:
    """The live activations of a forward pass.

    Parameters
    ----------
    given : iterable of torch.Tensor
        Activations that are there before, such as pixels; who runs the pass holds them.
    cache : DynamicCache, optional
        The cache that the pass appends to.
    inside : str
        The path of a module whose method is called directly.
    """
    tracker = ModulePaths(model, inside)
    weights = (*model.parameters(), *model.buffers())
    with torch.no_grad(), tracker, _Watch(tracker, weights) as watch:
        for tensor in given:
            watch.see(tensor)
        old = [watch.see(entry) for entry in _entries(cache)]
        run()
        new = [watch.see(entry) for entry in _entries(cache)]
    for before, after in zip(old, new, strict=False):
        before.replaced = after.born
    for entry in new:
        entry.replaced = len(watch.operators) + 1
    return Liveness(tuple(watch.moments()))
