"""Sets of integer points, and the check that cases taken together leave no point out.

A region bounds terms: sizes, or polynomials in sizes where a condition does not come apart. Terms
are taken for independent of each other, so a gap that is found may be empty in truth, and a domain
that is found covered is covered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sympy as sp

from symcost.errors import DomainError
from symcost.symbols import Expr, info_of


@dataclass(frozen=True)
class Values:
    """The integers from `low` to `high`, either of which may be missing, without some of them."""

    low: int | None = None
    high: int | None = None
    without: frozenset[int] = frozenset()

    def __and__(self, other: Values) -> Values:
        lows = [x for x in (self.low, other.low) if x is not None]
        highs = [x for x in (self.high, other.high) if x is not None]
        low, high = max(lows, default=None), min(highs, default=None)
        without = self.without | other.without
        while low in without:
            low += 1
        while high in without:
            high -= 1
        return Values(low, high, without)

    @property
    def empty(self) -> bool:
        """Whether no integer is left."""
        return self.low is not None and self.high is not None and self.low > self.high

    @property
    def others(self) -> Iterator[Values]:
        """All other integers."""
        if self.low is not None:
            yield Values(high=self.low - 1)
        if self.high is not None:
            yield Values(low=self.high + 1)
        for value in self.without:
            yield Values(value, value)

    def shown(self, term: Expr) -> str:
        """The condition on a term, in words."""
        parts = [f"{term} != {value}" for value in sorted(self.without)]
        if self.low is not None and self.low == self.high:
            return f"{term} = {self.low}"
        if self.low is not None and self.high is not None:
            return ", ".join([f"{self.low} <= {term} <= {self.high}", *parts])
        if self.low is not None:
            parts.insert(0, f"{term} >= {self.low}")
        if self.high is not None:
            parts.insert(0, f"{term} <= {self.high}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Region:
    """The points at which every term has one of its values."""

    values: Mapping[Expr, Values] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join(values.shown(term) for term, values in self.values.items())

    def __and__(self, other: Region) -> Region:
        both = dict(self.values)
        for term, values in other.values.items():
            both[term] = both.get(term, Values()) & values
        return Region(both)

    @property
    def empty(self) -> bool:
        """Whether a term has no value left."""
        return any(values.empty for values in self.values.values())

    @property
    def others(self) -> Iterator[Region]:
        """Regions that together with this one are everything, disjoint from each other."""
        inside = Region()
        for term, values in self.values.items():
            for other in values.others:
                yield inside & Region({term: other})
            inside &= Region({term: values})


def whole(symbols: Iterable[sp.Symbol]) -> Region:
    """All values that symbols may take."""
    return Region({symbol: Values(low=info_of(symbol).minimum) for symbol in symbols})


def region(conditions: Iterable[sp.Basic]) -> Region:
    """The points at which all of some equations and inequalities hold.

    Raises
    ------
    DomainError
        One is neither; whoever made it has to be asked what it means.
    """
    found = Region()
    for condition in conditions:
        found &= _of(condition)
    return found


_NOWHERE = Region({sp.Integer(0): Values(1, 0)})
_FLIPPED = {sp.Lt: sp.Gt, sp.Le: sp.Ge, sp.Gt: sp.Lt, sp.Ge: sp.Le, sp.Eq: sp.Eq, sp.Ne: sp.Ne}


def _of(condition: sp.Basic) -> Region:
    if condition in (sp.true, sp.false):
        return Region() if condition == sp.true else _NOWHERE
    if isinstance(condition, sp.And):
        return region(condition.args)
    relation = condition.func
    if relation not in _FLIPPED:
        raise DomainError(f"{condition} is neither an equation nor an inequality of sizes")
    bound, term = sp.expand(condition.args[0] - condition.args[1]).as_coeff_Add()
    content, term = term.as_content_primitive()
    if term.could_extract_minus_sign():
        content, term = -content, -term
    bound = -bound / content
    if content < 0:
        relation = _FLIPPED[relation]
    if term == 0 or not term.is_integer:
        raise DomainError(f"{condition} is no condition on integer sizes")
    base, exponent = term.as_base_exp()
    if base.is_Symbol and exponent.is_Integer and exponent > 1:
        return _of_power(relation, base, int(exponent), bound)
    values = _satisfying(relation, bound)
    return _NOWHERE if values.empty else Region({term: values} if values != Values() else {})


def _satisfying(relation: type, bound: sp.Rational) -> Values:
    """The integers that stand in a relation to a bound."""
    below, above = int(sp.floor(bound)), int(sp.ceiling(bound))
    if relation in (sp.Eq, sp.Ne) and below != above:
        return Values(1, 0) if relation is sp.Eq else Values()
    return {
        sp.Eq: Values(below, below),
        sp.Ne: Values(without=frozenset({below})),
        sp.Le: Values(high=below),
        sp.Lt: Values(high=above - 1),
        sp.Ge: Values(low=above),
        sp.Gt: Values(low=below + 1),
    }[relation]


def _of_power(relation: type, base: sp.Symbol, exponent: int, bound: sp.Rational) -> Region:
    """The same for a power of a size: sizes are not negative, so it grows with the size."""
    powers = _satisfying(relation, bound)
    if powers.empty:
        return _NOWHERE
    low, high = powers.low, powers.high
    if high is not None and high < 0:
        return _NOWHERE
    found = Region({base: Values(low=0)})
    if low is not None and low > 0:
        root, exact = sp.integer_nthroot(low, exponent)
        found &= Region({base: Values(low=root if exact else root + 1)})
    if high is not None:
        found &= Region({base: Values(high=sp.integer_nthroot(high, exponent)[0])})
    for power in powers.without:
        root, exact = sp.integer_nthroot(power, exponent) if power >= 0 else (0, False)
        if exact:
            found &= Region({base: Values(without=frozenset({root}))})
    return _NOWHERE if found.empty else found


def gap(domain: Region, cases: Sequence[Region]) -> Region | None:
    """A part of a domain that no case covers, or None where the cases cover it whole."""
    if domain.empty:
        return None
    if not cases:
        return domain
    first, *rest = cases
    for outside in first.others:
        found = gap(domain & outside, rest)
        if found is not None:
            return found
    return None
