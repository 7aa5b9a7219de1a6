"""What devices can do at most: peaks, memory and bandwidths, each with its source."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from symcost.errors import InputError
from symcost.insight.units import EXAMPLES, Dimension, parse_as

NUMBER_TYPES = ("bf16", "fp16", "tf32", "fp32", "fp8", "int8", "fp4")
"""Types of numbers that a matrix peak may be stated for."""

DEFAULT_TYPE = "bf16"
"""The type that DeepSeek-OCR's weights are published in."""

_QUANTITIES = {
    "vector": Dimension.FLOPS_PER_SECOND,
    "memory": Dimension.BYTES,
    "memory_bandwidth": Dimension.BYTES_PER_SECOND,
    "link_bandwidth": Dimension.BYTES_PER_SECOND,
}
_NEEDED = ("matrix", "memory", "memory_bandwidth")
_KEYS = ("matrix", *_QUANTITIES, "sources")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}")


@dataclass(frozen=True)
class Device:
    """The most that a device can do, as its vendor states it.

    Parameters
    ----------
    name : str
        Its name.
    matrix : mapping of str to Fraction
        Peaks of the matrix units in FLOPs per second, by type of number; without sparsity.
    vector : Fraction or None
        Peak of the other units on fp32 in FLOPs per second; None where none is stated.
    memory : Fraction
        Bytes of memory, with the vendor's GB as 10^9 bytes: a lower bound of what is there.
    memory_bandwidth : Fraction
        Bytes per second that are read from and written to memory, together.
    link_bandwidth : Fraction or None
        Bytes per second that it can send to other devices, in one direction, over all links.
    sources : tuple of str
        Where the figures are from.
    """

    name: str
    matrix: Mapping[str, Fraction]
    vector: Fraction | None
    memory: Fraction
    memory_bandwidth: Fraction
    link_bandwidth: Fraction | None
    sources: tuple[str, ...]

    def peak(self, number_type: str = DEFAULT_TYPE) -> Fraction:
        """FLOPs per second of the matrix units on a type of number.

        Raises
        ------
        InputError
            It is not stated; the message lists the types that are.
        """
        if number_type not in self.matrix:
            raise InputError(
                f"device {self.name} states no matrix peak for {number_type!r}; "
                f"stated: {', '.join(self.matrix)}"
            )
        return self.matrix[number_type]

    def vector_peak(self) -> Fraction:
        """FLOPs per second of the other units on fp32.

        Raises
        ------
        InputError
            It is not stated.
        """
        return self._stated("vector")

    def link_peak(self) -> Fraction:
        """Bytes per second that it can send to other devices.

        Raises
        ------
        InputError
            It is not stated.
        """
        return self._stated("link_bandwidth")

    def _stated(self, key: str) -> Fraction:
        value: Fraction | None = getattr(self, key)
        if value is None:
            raise InputError(
                f"device {self.name} states no {key}; state one in a file given as --devices, "
                f"such as {key} = {EXAMPLES[_QUANTITIES[key]]!r}"
            )
        return value

    def ridge(self, number_type: str = DEFAULT_TYPE) -> Fraction:
        """FLOPs per byte from which on the matrix units, not memory, limit."""
        return self.peak(number_type) / self.memory_bandwidth


def known_devices(file: Path | None = None) -> Mapping[str, Device]:
    """The devices of symcost's table by name, then those of a file of the same form.

    A device of the file takes the place of one with the same name, whatever the case of letters.

    Raises
    ------
    InputError
        The file cannot be read, or a key is unknown, missing or wrong; file, device and key are
        named.
    """
    known = _published()
    if file is None:
        return known
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read: {error}") from None
    merged = {name.lower(): device for name, device in known.items()}
    merged |= {name.lower(): device for name, device in _read(text, str(file)).items()}
    return MappingProxyType({device.name: device for device in merged.values()})


def device_named(name: str, file: Path | None = None) -> Device:
    """The device of that name, whatever the case of its letters.

    Raises
    ------
    InputError
        There is none; the message lists those that there are.
    """
    known = known_devices(file)
    for device in known.values():
        if device.name.lower() == name.lower():
            return device
    raise InputError(f"device is {name!r}; allowed: {', '.join(known)}")


@cache
def _published() -> Mapping[str, Device]:
    table = resources.files(__package__).joinpath("devices.toml")
    return MappingProxyType(_read(table.read_text(encoding="utf-8"), table.name))


def _read(text: str, origin: str) -> dict[str, Device]:
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{origin} is no TOML file: {error}") from None
    found: dict[str, Device] = {}
    for name, keys in content.items():
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{origin}: device {name[:60]!r}; allowed: letters, digits and . _ + - in 40 signs"
            )
        if name.lower() in found:
            raise InputError(f"{origin}: device {name} is there twice, in letters of other case")
        found[name.lower()] = _device(name, keys, f"{origin}: device {name}")
    return {device.name: device for device in found.values()}


def _device(name: str, keys: Any, where: str) -> Device:
    if not isinstance(keys, dict):
        raise InputError(f"{where} is {keys!r:.60}; needed: a table with {', '.join(_NEEDED)}")
    if unknown := [key for key in keys if key not in _KEYS]:
        raise InputError(f"{where}: {unknown[0][:60]} is unknown; allowed: {', '.join(_KEYS)}")
    if missing := [key for key in _NEEDED if key not in keys]:
        raise InputError(f"{where}: {missing[0]} is missing")
    stated = {
        key: _positive(keys[key], dimension, f"{where}: {key}")
        for key, dimension in _QUANTITIES.items()
        if key in keys
    }
    return Device(
        name,
        _matrix(keys["matrix"], f"{where}: matrix"),
        stated.get("vector"),
        stated["memory"],
        stated["memory_bandwidth"],
        stated.get("link_bandwidth"),
        _sources(keys.get("sources", []), f"{where}: sources"),
    )


def _matrix(peaks: Any, where: str) -> Mapping[str, Fraction]:
    if not isinstance(peaks, dict) or not peaks:
        raise InputError(
            f'{where} is {peaks!r:.60}; needed: peaks by type, {{ bf16 = "312 TFLOPS" }}'
        )
    if unknown := [kind for kind in peaks if kind not in NUMBER_TYPES]:
        raise InputError(
            f"{where}.{unknown[0][:60]} is unknown; allowed: {', '.join(NUMBER_TYPES)}"
        )
    return MappingProxyType(
        {
            kind: _positive(peak, Dimension.FLOPS_PER_SECOND, f"{where}.{kind}")
            for kind, peak in peaks.items()
        }
    )


def _positive(text: Any, dimension: Dimension, where: str) -> Fraction:
    if not isinstance(text, str):
        raise InputError(f"{where} is {text!r:.60}; needed: a text such as {EXAMPLES[dimension]!r}")
    value = parse_as(text, dimension, where)
    if not value:
        raise InputError(f"{where} is {text!r}; allowed: more than nothing")
    return value


def _sources(texts: Any, where: str) -> tuple[str, ...]:
    if not isinstance(texts, list) or not all(
        isinstance(t, str) and t.isprintable() for t in texts
    ):
        raise InputError(f"{where} is {texts!r:.60}; needed: a list of texts of one line")
    return tuple(texts)
