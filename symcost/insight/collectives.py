"""What collectives put on the wire: bytes that a device sends, by named algorithms.

* Ring all-reduce: each device passes chunks of N/p to its neighbour, p - 1 times while they are
  summed and p - 1 times while sums go round (Patarasuk and Yuan, "Bandwidth optimal all-reduce
  algorithms for clusters of workstations", 2009).
* Double binary tree all-reduce: two trees carry half of N each; a device that is an inner node of
  one is a leaf of the other (NCCL 2.4, src/graph/trees.cc; Sanders, Speck and Träff, "Two-tree
  algorithms for full bandwidth broadcast, reduction and scan", 2009). An inner node sends its half
  up once and down twice, a leaf sends it up: 2 N together, and less of two or three devices.
* Ring all-gather: p - 1 shares are passed on.
* Pairwise all-to-all: in step i a device sends to the i-th behind it; its own share stays.

These are bytes, not times: nothing is assumed of links, and steps are only counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import sympy as sp

from symcost.errors import DomainError
from symcost.exact import Amount, as_rational, simplest
from symcost.models.deepseek_ocr.collectives import Collective, CollectiveKind
from symcost.symbols import Expr, as_expr


class AllReduce(StrEnum):
    """How sums are made."""

    RING = "ring"
    TREE = "tree"

    @property
    def told(self) -> str:
        """What a reader calls it."""
        return "double binary tree" if self is AllReduce.TREE else self.value


def sent_bytes(collective: Collective, algorithm: AllReduce) -> Amount:
    """The bytes that a device of the group, the busiest, sends in all runs of a collective.

    Parameters
    ----------
    algorithm : AllReduce
        How an all-reduce is made. An all-gather is a ring, an all-to-all goes by pairs.
    """
    devices = as_expr(collective.group)
    amount = as_expr(collective.count) * as_rational(collective.bytes)
    return simplest(_share(collective.kind, algorithm, devices) * amount)


def _share(kind: CollectiveKind, algorithm: AllReduce, devices: Expr) -> Expr:
    """What the busiest device sends of the bytes that a collective works on."""
    others = (devices - 1) / devices
    if kind is not CollectiveKind.ALL_REDUCE:
        return others
    if algorithm is AllReduce.RING:
        return 2 * others
    return sp.Min(2, devices / 2, devices - 1)


def all_sent_bytes(collectives: Iterable[Collective], algorithm: AllReduce) -> Amount:
    """The bytes that one device sends in several collectives."""
    return simplest(sp.Add(*(as_rational(sent_bytes(c, algorithm)) for c in collectives)))


def steps(collective: Collective, algorithm: AllReduce) -> Amount:
    """How many messages follow each other in all runs of a collective.

    Raises
    ------
    DomainError
        The depth of a tree is asked for and the number of its devices is a symbol.
    """
    devices = as_expr(collective.group)
    one_way = devices - 1
    reduces = collective.kind is CollectiveKind.ALL_REDUCE
    if reduces and algorithm is AllReduce.TREE:
        if not devices.is_number:
            raise DomainError(
                f"the depth of a tree of {devices} devices is no formula; give their number"
            )
        one_way = as_expr(int(devices - 1).bit_length())
    return simplest(as_expr(collective.count) * (2 if reduces else 1) * one_way)
