"""Counting on the real model, and the comparison with what the formulas state."""

from __future__ import annotations

from importlib.util import find_spec

from symcost.errors import InputError

_NEEDED = ("torch", "transformers", "fvcore")


def require_reference() -> None:
    """Raise unless the packages are there that the real model and its counters need.

    Raises
    ------
    InputError
        One is missing; the message names the extra that installs it.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(
            f"{', '.join(missing)} cannot be imported; the real model needs the extra verify: "
            "pip install 'symcost[verify]', or pip install '.[verify]' in a clone"
        )
