"""Devices: stated peaks against units times clock, the refusals, and files of one's own."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import pytest

from symcost.errors import InputError
from symcost.insight.devices import NUMBER_TYPES, Device, device_named, known_devices

DEVICES = known_devices()


class Chip(NamedTuple):
    """Units, FLOPs that each does in a cycle on bf16, and their clock."""

    units: int
    flops: int
    hertz: int
    types: dict[str, Fraction | int]
    """How many times as fast as bf16 it is on other numbers."""
    vector: int
    vector_hertz: int


HALF = Fraction(1, 2)
AMPERE = {"fp16": 1, "tf32": HALF, "int8": 2}
HOPPER = {"fp16": 1, "tf32": HALF, "fp8": 2, "int8": 2}
GEFORCE = {"fp16": 1, "tf32": HALF, "fp8": 2, "int8": 4}
CHIPS = {
    "A100-40GB": Chip(108, 2048, 1_410_000_000, AMPERE, 128, 1_410_000_000),
    "A100-80GB": Chip(108, 2048, 1_410_000_000, AMPERE, 128, 1_410_000_000),
    "H100-SXM": Chip(132, 4096, 1_830_000_000, HOPPER, 256, 1_980_000_000),
    "H100-PCIe": Chip(114, 4096, 1_620_000_000, HOPPER, 256, 1_755_000_000),
    "H200-SXM": Chip(132, 4096, 1_830_000_000, HOPPER, 256, 1_980_000_000),
    "B200": Chip(148, 8192, 1_860_000_000, HOPPER | {"fp4": 4}, 256, 1_965_000_000),
    "L40S": Chip(142, 1024, 2_490_000_000, HOPPER, 256, 2_520_000_000),
    "RTX-4090": Chip(128, 512, 2_520_000_000, GEFORCE, 256, 2_520_000_000),
    "RTX-5090": Chip(170, 512, 2_407_000_000, GEFORCE | {"fp4": 8}, 256, 2_407_000_000),
    "MI300X": Chip(304, 2048, 2_100_000_000, HOPPER | {"fp32": Fraction(1, 8)}, 256, 2_100_000_000),
    "TPU-v5e": Chip(4, 2 * 128 * 128, 1_500_000_000, {"int8": 2}, 0, 0),
}
"""Units and clocks, from white papers' other tables. L4 and H20 have no clock that fits."""

BUSES = {
    "A100-40GB": (5120, 2_430_000_000),
    "A100-80GB": (5120, 3_186_000_000),
    "H100-SXM": (5120, 5_238_000_000),
    "B200": (7680, 7_992_000_000),
    "L40S": (384, 18_000_000_000),
    "RTX-4090": (384, 21_000_000_000),
    "RTX-5090": (512, 28_000_000_000),
    "MI300X": (8192, 5_200_000_000),
}
"""Bits of the memory bus, and transfers a second."""

MEBIBYTES = {
    "A100-40GB": 40_960,
    "A100-80GB": 81_920,
    "H100-SXM": 81_559,
    "L40S": 46_068,
    "L4": 23_034,
}
"""Memory that nvidia-smi shows."""


def as_rounded(stated: Fraction, computed: Fraction | int) -> bool:
    """Vendors round to two digits and more: 2.25 P for 2.255 P, 1.1 P for 1.128 P."""
    return abs(stated - computed) <= Fraction(3, 100) * computed


@pytest.mark.parametrize("name", CHIPS)
def test_peaks_are_units_times_clock(name):
    device, chip = DEVICES[name], CHIPS[name]
    bf16 = chip.units * chip.flops * chip.hertz
    assert set(device.matrix) == {"bf16", *chip.types}
    for kind, times in {"bf16": 1, **chip.types}.items():
        assert as_rounded(device.peak(kind), bf16 * times), kind
        # A peak with sparsity, or with sums in fp16 on GeForce, would be twice that.
        assert not as_rounded(2 * device.peak(kind), bf16 * times)
    if chip.vector:
        assert as_rounded(device.vector_peak(), chip.units * chip.vector * chip.vector_hertz)


@pytest.mark.parametrize("name", BUSES)
def test_bandwidths_are_width_times_rate(name):
    bits, rate = BUSES[name]
    assert as_rounded(DEVICES[name].memory_bandwidth, Fraction(bits * rate, 8))


@pytest.mark.parametrize("name", MEBIBYTES)
def test_memory_is_a_lower_bound(name):
    shown = MEBIBYTES[name] * 2**20
    memory = DEVICES[name].memory
    assert memory <= shown
    # With powers of 1024 it would not be one where some is kept back.
    assert memory * 2**30 / 10**9 >= shown


@pytest.mark.parametrize("name", DEVICES)
def test_every_device_is_sane(name):
    device = DEVICES[name]
    assert device.name == name
    assert device.sources
    assert set(device.matrix) <= set(NUMBER_TYPES)
    assert 50 * 10**12 < device.peak("bf16") < 10**16
    assert all(peak.denominator == 1 for peak in device.matrix.values())
    assert 10**10 < device.memory < 10**12
    assert 10**11 < device.memory_bandwidth < 10**13
    assert 10**10 < device.link_peak() < device.memory_bandwidth
    assert device.ridge() == device.peak() / device.memory_bandwidth
    assert device_named(name.swapcase()) is device


def test_what_is_not_stated_is_refused():
    a100, tpu = device_named("A100-80GB"), device_named("TPU-v5e")
    with pytest.raises(
        InputError, match="A100-80GB states no matrix peak for 'fp8'; stated: bf16, fp"
    ):
        a100.peak("fp8")
    with pytest.raises(InputError, match="for 'fp4'"):
        a100.ridge("fp4")
    assert tpu.vector is None
    with pytest.raises(InputError, match=r"TPU-v5e states no vector; state one in .* '989TFLOPS'"):
        tpu.vector_peak()
    with pytest.raises(InputError, match="states no link_bandwidth"):
        Device("x", {}, None, Fraction(1), Fraction(1), None, ()).link_peak()


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(InputError) as told:
        device_named("H100")
    assert str(told.value) == f"device is 'H100'; allowed: {', '.join(DEVICES)}"


MINE = """
[Mine]
matrix = { fp8 = "1/3 PFLOPS" }
memory = "16 GiB"
memory_bandwidth = "100 GB/s"

[h100-sxm]
matrix = { bf16 = "700 TFLOPS" }
vector = "60 TFLOPS"
memory = "80 GB"
memory_bandwidth = "3 TB/s"
link_bandwidth = "400 GB/s"
sources = ["measured"]
"""


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_file_adds_and_replaces(written):
    file = written(MINE)
    found = known_devices(file)
    names = [*DEVICES, "Mine"]
    names[names.index("H100-SXM")] = "h100-sxm"
    assert list(found) == names
    assert found["Mine"] == Device(
        "Mine",
        {"fp8": Fraction(10**15, 3)},
        None,
        Fraction(16 * 2**30),
        Fraction(10**11),
        None,
        (),
    )
    replaced = device_named("H100-SXM", file)
    assert (replaced.peak(), replaced.sources) == (7 * 10**14, ("measured",))
    assert list(replaced.matrix) == ["bf16"]  # the whole device, not key by key
    assert known_devices() == DEVICES


def test_a_file_without_devices_changes_nothing(written):
    assert known_devices(written("# nothing\n")) == DEVICES


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('memory = "16 GiB"', "", "device Mine: memory is missing"),
        (
            "matrix = { fp8",
            "matrices = { fp8",
            "device Mine: matrices is unknown; allowed: matrix, v",
        ),
        ('memory = "16 GiB"', "memory = 16", "Mine: memory is 16; needed: a text such as '80GB'"),
        ('"16 GiB"', '"16 Gb"', "Mine: memory is '16 Gb', in bits"),
        ('"16 GiB"', '"0 GB"', "Mine: memory is '0 GB'; allowed: more than nothing"),
        ('"16 GiB"', '"-1 GB"', "Mine: memory is '-1 GB'; allowed: nothing below zero"),
        (
            '"16 GiB"',
            '"100 GB/s"',
            "Mine: memory is 100 GB/s, bytes per second; needed: bytes, such",
        ),
        (
            '"100 GB/s"',
            '"100 GB"',
            "memory_bandwidth is 100 GB, bytes; needed: bytes per second, such",
        ),
        (
            '"1/3 PFLOPS"',
            '"333 TFLOPs"',
            "matrix.fp8 is 333 TFLOPs, FLOPs; needed: FLOPs per second",
        ),
        (
            '"60 TFLOPS"',
            '"60"',
            "device h100-sxm: vector is 60, a plain number; needed: FLOPs per s",
        ),
        ("fp8 =", "fp9 =", "matrix.fp9 is unknown; allowed: bf16, "),
        ('{ fp8 = "1/3 PFLOPS" }', "{}", "Mine: matrix is {}; needed: peaks by type"),
        (
            '{ fp8 = "1/3 PFLOPS" }',
            '"1 PFLOPS"',
            "Mine: matrix is '1 PFLOPS'; needed: peaks by type",
        ),
        (
            '["measured"]',
            '"measured"',
            "sources is 'measured'; needed: a list of texts of one line",
        ),
        ('["measured"]', '["a\\nb"]', "sources is .*; needed: a list of texts of one line"),
        ("[Mine]", '["[red]"]', r"device '\[red\]'; allowed: letters, digits"),
        ("[Mine]", "[Mine.too]", "device Mine: too is unknown"),
        ("[Mine]", "[H100-SXM]", "device h100-sxm is there twice"),
        ("[Mine]", "x = 1\n[Mine]", "device x is 1; needed: a table with matrix, memory"),
        ("[Mine]", "[Mine", "is no TOML file: "),
        ("[Mine]", "[Mine]\nx = " + "[" * 100_000, "is no TOML file: "),
    ],
)
def test_a_wrong_file_is_refused_by_device_and_key(written, old, new, told):
    assert MINE.count(old) == 1
    file = written(MINE.replace(old, new))
    with pytest.raises(InputError, match=told) as error:
        known_devices(file)
    assert str(file) in str(error.value)


def test_an_unreadable_file_is_refused(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("none.toml", "binary", ""):
        with pytest.raises(InputError, match="cannot be read"):
            known_devices(tmp_path / name)
