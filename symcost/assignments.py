"""Options that give values to names: NAME=VALUE, joined by commas."""

from __future__ import annotations

from collections.abc import Collection

from symcost.errors import InputError

_SHOWN = 60
"""Signs of what a user wrote that a message repeats."""


def assignments(what: str, text: str, names: Collection[str], allowed: str) -> dict[str, str]:
    """The values that a text gives to names, each name at most once.

    Parameters
    ----------
    what : str
        What the option is called.
    allowed : str
        What an error tells to write instead.

    Raises
    ------
    InputError
        A name is unknown or given twice.
    """
    given: dict[str, str] = {}
    for item in text.split(","):
        name, equals, value = item.partition("=")
        if name not in names or not equals:
            raise refusal(what, text, allowed)
        if name in given:
            raise InputError(f"{what} {name} is given twice; give it once")
        given[name] = value
    return given


def refusal(what: str, text: str, allowed: str) -> InputError:
    """The error of an option that cannot be read."""
    return InputError(f"{what} is {text[:_SHOWN]!r}; allowed: {allowed}")
