"""Numbers as people read them: rounded, with prefixes and units."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from symcost.exact import Amount, decimal_text

_PREFIXES = ((10**18, "E"), (10**15, "P"), (10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


def human(amount: Amount, unit: str = "") -> str:
    """Four significant digits and a decimal prefix: 976.9 G."""
    if amount < 1000:
        return f"{decimal_text(amount, 6)} {unit}".strip()
    if amount >= 99995 * 10**16:  # what rounds to the power above all prefixes
        return f"{Decimal(int(amount)):.3e} {unit}".strip()
    scaled = [(float(amount) / factor, prefix) for factor, prefix in _PREFIXES]
    value, prefix = next(one for one in scaled if float(f"{one[0]:.4g}") >= 1)
    return f"{value:#.4g} {prefix}{unit}"


_TIMES = ((1, "s"), (1000, "ms"), (10**6, "µs"), (10**9, "ns"))


def duration(seconds: Fraction) -> str:
    """Four significant digits of a time: 13.71 ms."""
    factor, unit = next((t for t in _TIMES if seconds * t[0] >= 1), _TIMES[-1])
    return f"{decimal_text(seconds * factor)} {unit}"
