"""Libraries that only some features need: the extras of the package."""

from __future__ import annotations

import importlib
from typing import Any

from symcost.errors import InputError


def library(name: str, extra: str) -> Any:
    """A module that an extra installs.

    Raises
    ------
    InputError
        The extra is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"{error.name or name} is missing; pip install 'symcost[{extra}]' installs it"
        ) from None
