"""Counting on the real model, and the comparison with what the formulas state."""

from __future__ import annotations

import gc
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType
from typing import TypeAlias

from symcost.errors import InputError
from symcost.version import __version__

_NEEDED = ("torch", "transformers", "fvcore")
_PORT = "transformers.models.unlimited_ocr"
SUPPORTED = "5.23.0"
"""The version of transformers that the extra `verify` installs, whose port the formulas are of."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told what is going on, how much of it is done, and of how much."""

_EXTRA = "pip install 'symcost[verify]', or pip install '.[verify]' in a clone"


def versions(*packages: str) -> dict[str, str]:
    """The versions of symcost and of the packages that evidence depends on."""
    return {"symcost": __version__, **{name: version(name) for name in packages}}


def require_reference() -> None:
    """Raise unless the packages are there that the real model and its counters need.

    Raises
    ------
    InputError
        One is missing or cannot be imported, or transformers has no port; the message names the
        extra that installs it.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(
            f"{', '.join(missing)} cannot be imported; the real model needs the extra verify: "
            f"{_EXTRA}"
        )
    try:
        port = find_spec(_PORT)
    except ImportError:
        port = None
    if port is None:
        raise InputError(
            f"the transformers that is installed has no port of DeepSeek-OCR ({_PORT}); "
            f"{SUPPORTED} has: {_EXTRA}"
        )


def room(name: str) -> ModuleType:
    """A module of symcost that needs the real model.

    Raises
    ------
    InputError
        What it needs is missing or cannot be imported.
    """
    require_reference()
    try:
        found = import_module(name)
    except ImportError as error:
        raise InputError(
            f"the real model cannot be imported: {error}; the extra verify installs what fits "
            f"together: {_EXTRA}"
        ) from None
    gc.freeze()  # imports stay: looking for garbage in them is a tenth of the work of a proof
    return found
