"""Bytes that each operator of the real model reads and writes, module by module.

Every operator that runs is a kernel. It reads each tensor that it is given once, however often it
is given, and writes each tensor that it makes; a tensor that repeats itself along a dimension has
the bytes of what is stored. Views move nothing. Where an operator touches only a part of what it is
given, its own rule says which.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from symcost.verify.counters import ROOT, Count, ModulePaths

aten = torch.ops.aten


@dataclass(frozen=True)
class Moved:
    """Bytes read and bytes written, by module and operator."""

    read: Count
    written: Count


def stored_bytes(tensor: torch.Tensor) -> int:
    """The bytes of a tensor's elements, those that it only repeats counted once."""
    count = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        count *= size if stride or size == 0 else 1
    return count * tensor.element_size()


def _tensors(values: Any) -> list[torch.Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, torch.Tensor)]


def _different(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Tensors, each look at the same memory once."""
    looks = {
        (x.untyped_storage()._cdata, x.storage_offset(), x.shape, x.stride()): x for x in tensors
    }
    return list(looks.values())


def _everything(given: list[torch.Tensor], _: list[torch.Tensor]) -> int:
    return sum(map(stored_bytes, _different(given)))


def _rows(given: list[torch.Tensor], made: list[torch.Tensor]) -> int:
    """Of a table only the rows that are looked up, and their numbers."""
    return stored_bytes(given[1]) + stored_bytes(made[0])


def _picked(given: list[torch.Tensor], made: list[torch.Tensor]) -> int:
    """The numbers, and of a table the elements that are picked, each at most once."""
    table, *ids = given
    return min(stored_bytes(table), stored_bytes(made[0])) + _everything(ids, [])


def _added(given: list[torch.Tensor], _: list[torch.Tensor]) -> int:
    """The rows that are added, their numbers, and the rows that they are added to."""
    ids, rows = given[1:]
    return stored_bytes(ids) + 2 * stored_bytes(rows)


def _all_but_the_first(given: list[torch.Tensor], _: list[torch.Tensor]) -> int:
    """What is written over another tensor, which is given first."""
    return _everything(given[1:], [])


def _all_made(_: list[torch.Tensor], made: list[torch.Tensor]) -> int:
    return sum(map(stored_bytes, _different(made)))


def _nothing(_: list[torch.Tensor], __: list[torch.Tensor]) -> int:
    return 0


READS: Mapping[Any, Callable[[list[torch.Tensor], list[torch.Tensor]], int]] = {
    aten.embedding: _rows,
    aten.index: _picked,
    aten.index_add_: _added,
    **dict.fromkeys((aten.fill_, aten.zero_, aten.copy_), _all_but_the_first),
    **dict.fromkeys((aten.empty_like, aten.zeros_like, aten.ones_like, aten.full_like), _nothing),
    **dict.fromkeys((aten.new_empty, aten.new_empty_strided), _nothing),
    **dict.fromkeys((aten.new_zeros, aten.new_ones, aten.new_full), _nothing),
}
"""What operators read that do not read all that they are given."""

_ALLOCATING = (aten.empty, aten.empty_like, aten.new_empty, aten.new_empty_strided)
WRITES: Mapping[Any, Callable[[list[torch.Tensor], list[torch.Tensor]], int]] = {
    aten.index_add_: lambda given, _: stored_bytes(given[2]),
    **dict.fromkeys(_ALLOCATING, _nothing),
}
"""What operators write that do not write all that they make."""


def _is_view(func: Any) -> bool:
    """Whether what an operator makes is another look at what it was given."""
    returns = func._schema.returns
    looks = any(made.alias_info is not None and not made.alias_info.is_write for made in returns)
    return looks or func.overloadpacket is aten._unsafe_view


class _Bytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, tracker: ModulePaths) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tracker = tracker
        self.read: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.written: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if not _is_view(func):
            operator = func.overloadpacket
            given, results = _tensors((args, kwargs)), _tensors(made)
            read = READS.get(operator, _everything)(given, results)
            written = WRITES.get(operator, _all_made)(given, results)
            for path in self._tracker.parents:
                self.read[path][str(operator)] += read
                self.written[path][str(operator)] += written
        return made


def count(model: torch.nn.Module, run: Callable[[], Any], *, inside: str = "") -> Moved:
    """The bytes that a forward pass moves."""
    tracker = ModulePaths(model, inside)
    with torch.no_grad(), tracker, _Bytes(tracker) as seen:
        run()
    return Moved(Count(_by_module(seen.read)), Count(_by_module(seen.written)))


def _by_module(found: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {path: dict(of_each) for path, of_each in found.items() if path != ROOT}
