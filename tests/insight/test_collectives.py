"""What devices send: formulas against devices that really pass messages on and count them.

A simulated device has values and may only use what it was sent. Each simulation checks its own
result, sums or whole tensors on every device, so that a byte that is not sent is missed.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

from symcost.errors import DomainError
from symcost.exact import evaluate, simplest
from symcost.insight.collectives import AllReduce, all_sent_bytes, sent_bytes, steps
from symcost.models.deepseek_ocr.collectives import Collective, CollectiveKind
from symcost.symbols import B, p_t

RING, TREE = AllReduce
SIZES = range(2, 17)
N = 1000
"""Bytes of the tensor; not a multiple of most numbers of devices."""


class Wire:
    """Counts what each device sends, and the steps in which it is sent."""

    def __init__(self, devices: int) -> None:
        self.sent = [Fraction(0)] * devices
        self.steps = 0

    def send(self, sender: int, amount: Fraction) -> None:
        self.sent[sender] += amount


def ring_all_reduce(devices: int) -> Wire:
    wire, chunk = Wire(devices), Fraction(N, devices)
    held = [[{device} for _ in range(devices)] for device in range(devices)]
    for reduces in (True, False):
        for step in range(devices - 1):
            passed = {}
            for device in range(devices):
                which = (device - step + (not reduces)) % devices
                passed[(device + 1) % devices] = which, set(held[device][which])
                wire.send(device, chunk)
            for device, (which, terms) in passed.items():
                assert not (reduces and held[device][which] & terms), "a term is added twice"
                held[device][which] = held[device][which] | terms if reduces else terms
            wire.steps += 1
    everyone = set(range(devices))
    assert all(terms == everyone for chunks in held for terms in chunks)
    return wire


def ring_all_gather(devices: int) -> Wire:
    wire = Wire(devices)
    held = [{device} for device in range(devices)]
    for step in range(devices - 1):
        passed = {(d + 1) % devices: (d - step) % devices for d in range(devices)}
        for device, share in passed.items():
            assert share in held[(device - 1) % devices]
            wire.send((device - 1) % devices, Fraction(N, devices))
        for device, share in passed.items():
            held[device].add(share)
        wire.steps += 1
    assert all(shares == set(range(devices)) for shares in held)
    return wire


def pairwise_all_to_all(devices: int) -> Wire:
    wire = Wire(devices)
    received = [{(device, device)} for device in range(devices)]
    for step in range(1, devices):
        for device in range(devices):
            target = (device + step) % devices
            received[target].add((device, target))
            wire.send(device, Fraction(N, devices))
        wire.steps += 1
    assert all(
        shares == {(sender, device) for sender in range(devices)}
        for device, shares in enumerate(received)
    )
    return wire


def parents_of_tree(devices: int) -> dict[int, int]:
    """NCCL's tree (ncclGetBtree): odd ranks are leaves, and so on for the even ones, halved."""
    parents = {}
    for rank in range(1, devices):
        bit = rank & -rank
        up = (rank ^ bit) | (bit << 1)
        parents[rank] = up if up < devices else rank ^ bit
    return parents


def two_trees(devices: int) -> list[dict[int, int]]:
    """The tree and its mirror image, or of an odd number of devices the tree shifted by one."""
    first = parents_of_tree(devices)
    if devices % 2:
        second = {(c + 1) % devices: (p + 1) % devices for c, p in first.items()}
    else:
        second = {devices - 1 - c: devices - 1 - p for c, p in first.items()}
    return [first, second]


def tree_all_reduce(devices: int, trees: list[dict[int, int]]) -> Wire:
    """Each tree carries an equal part: sums go up, and what the root has goes down again."""
    wire, part = Wire(devices), Fraction(N, len(trees))
    for parents in trees:
        depth = {}
        for device in range(devices):
            at, depth[device] = device, 0
            while at in parents:
                at, depth[device] = parents[at], depth[device] + 1
        held = {device: {device} for device in range(devices)}
        for device in sorted(parents, key=depth.get, reverse=True):
            assert not held[parents[device]] & held[device]
            held[parents[device]] |= held[device]
            wire.send(device, part)
        for device in sorted(parents, key=depth.get):
            held[device] = set(held[parents[device]])
            wire.send(parents[device], part)
        assert all(terms == set(range(devices)) for terms in held.values())
        wire.steps = max(wire.steps, 2 * max(depth.values()))
    return wire


def collective(kind: CollectiveKind, group, count=1, amount=N) -> Collective:
    return Collective("somewhere", kind, count, amount, group)


REDUCE, GATHER, SWAP = CollectiveKind


@pytest.mark.parametrize(
    ("kind", "algorithm", "simulated"),
    [
        (REDUCE, RING, ring_all_reduce),
        (GATHER, RING, ring_all_gather),
        (GATHER, TREE, ring_all_gather),
        (SWAP, RING, pairwise_all_to_all),
        (SWAP, TREE, pairwise_all_to_all),
    ],
)
def test_rings_and_pairs(kind, algorithm, simulated):
    for devices in SIZES:
        wire, stated = simulated(devices), collective(kind, devices)
        assert set(wire.sent) == {sent_bytes(stated, algorithm)}
        assert wire.steps == steps(stated, algorithm)


def test_the_busiest_device_of_two_trees():
    for devices in (*SIZES, 31, 32, 33, 64, 100):
        wire = tree_all_reduce(devices, two_trees(devices))
        stated = collective(REDUCE, devices)
        assert max(wire.sent) == sent_bytes(stated, TREE)
        assert wire.steps == steps(stated, TREE)
        assert sum(wire.sent) == 2 * (devices - 1) * N


def test_a_single_tree_is_told_apart():
    wires = {d: tree_all_reduce(d, [parents_of_tree(d)]) for d in range(5, 17)}
    assert {max(wire.sent) for wire in wires.values()} == {3 * N}
    assert all(sent_bytes(collective(REDUCE, d), TREE) != 3 * N for d in wires)


@pytest.mark.parametrize(
    ("kind", "algorithm"), [(REDUCE, RING), (REDUCE, TREE), (GATHER, RING), (SWAP, RING)]
)
def test_formulas_hold_for_every_number_of_devices(kind, algorithm):
    formula = sent_bytes(collective(kind, p_t, count=3, amount=N * B), algorithm)
    for devices in (1, *SIZES):
        stated = sent_bytes(collective(kind, devices, count=3, amount=5 * N), algorithm)
        assert evaluate(formula, {p_t: devices, B: 5}) == stated
        assert (stated == 0) == (devices == 1)


def test_runs_add_up():
    several = [collective(REDUCE, 4, count=11), collective(SWAP, 8, count=2)]
    assert all_sent_bytes(several, RING) == 11 * 1500 + 2 * 875
    assert all_sent_bytes(several, TREE) == 11 * 2000 + 2 * 875
    assert all_sent_bytes([], RING) == 0
    assert steps(several[0], RING) == 66
    assert steps(several[0], TREE) == 44
    assert several[0].repeated(3) == collective(REDUCE, 4, count=33)


def test_what_is_no_whole_number_of_bytes_is_a_fraction():
    assert sent_bytes(collective(GATHER, 3), RING) == Fraction(2000, 3)


def test_the_depth_of_a_tree_needs_a_number():
    with pytest.raises(DomainError, match="the depth of a tree of p_t devices is no formula"):
        steps(collective(REDUCE, p_t), TREE)
    assert steps(collective(REDUCE, p_t), RING) == simplest(2 * (p_t - 1))
