"""What measurements are made with: samples in turns, tables of figures, the machine in words."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import time
import timeit
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from llvmlite import binding

Sample: TypeAlias = Callable[[], float]
"""Measures once, and tells the seconds that one call took."""

_LONG_ENOUGH = 0.02
"""A sample of short calls repeats them for so many seconds."""
_VECTORS = ("avx2", "avx512f", "amx-int8", "neon", "sve")
_GIB = 1 << 30


def once(run: Callable[[], Any]) -> Sample:
    """A sample of one call; what it returns is kept until the clock has stopped."""

    def sample() -> float:
        start = time.perf_counter()
        kept = run()
        seconds = time.perf_counter() - start
        del kept
        return seconds

    return sample


def repeated(statement: str | Callable[[], Any], **names: Any) -> Sample:
    """A sample of many calls of a short statement, the mean of them."""
    timer = timeit.Timer(statement, globals=names)
    timer.timeit(3)
    number = max(1, round(_LONG_ENOUGH / (timer.timeit(3) / 3)))
    return lambda: timer.timeit(number) / number


def medians(samples: Mapping[str, Sample], rounds: int) -> dict[str, float]:
    """The median of some samples of each; they take turns, after one round that is not counted."""
    found: dict[str, list[float]] = {name: [] for name in samples}
    gc.collect()
    gc.disable()
    try:
        for sample in samples.values():
            sample()
        for _ in range(rounds):
            for name, sample in samples.items():
                found[name].append(sample())
    finally:
        gc.enable()
    return {name: statistics.median(seconds) for name, seconds in found.items()}


@dataclass(frozen=True)
class Target:
    """What was asked for, and the worst of what was measured."""

    name: str
    asked: str
    measured: str
    reached: bool

    @property
    def verdict(self) -> str:
        return "reached" if self.reached else "missed"


@dataclass(frozen=True)
class Section:
    """One table, what is to be said of it, and the targets that it answers."""

    title: str
    text: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    targets: list[Target] = field(default_factory=list)


def no_more(name: str, limit: float, found: Mapping[str, float], unit: str) -> Target:
    """A target that the largest of some figures must keep."""
    worst = max(found, key=lambda key: found[key])
    measured = f"{found[worst]:.3g} {unit} ({worst})"
    return Target(name, f"at most {limit:g} {unit}", measured, found[worst] <= limit)


def no_less(name: str, limit: float, found: Mapping[str, float], unit: str = "") -> Target:
    """A target that the smallest of some figures must keep."""
    worst = min(found, key=lambda key: found[key])
    measured = f"{found[worst]:.3g} {unit}".strip() + f" ({worst})"
    return Target(name, f"at least {limit:g} {unit}".strip(), measured, found[worst] >= limit)


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def machine() -> dict[str, str]:
    """The machine by its properties."""
    features = binding.get_host_cpu_features()
    vectors = ", ".join(name for name in _VECTORS if features.get(name))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _GIB
    return {
        "Processor": f"{platform.machine()}, {binding.get_host_cpu_name()} ({vectors})",
        "Cores": str(os.cpu_count()),
        "Caches of a core": ", ".join(_caches()),
        "Memory": f"{memory:.0f} GiB",
        "Python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "numba", "sympy")},
    }


def _caches() -> list[str]:
    found = []
    for cache in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (
            (cache / name).read_text().strip() for name in ("level", "type", "size")
        )
        if kind != "Instruction":
            kib = int(size.removesuffix("K"))
            found.append(f"L{level} {kib} KiB" if kib < 1024 else f"L{level} {kib >> 10} MiB")
    return found
