"""Each object is described once, by all of its words, and defaults are shown as Python."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

import symcost

PAGE = "reference/symcost"


def _skip(app: Sphinx, _what: str, _name: str, found: object, *_rest: Any) -> bool | None:
    """Leave out what the page of the whole package has."""
    if app.env.current_document.docname == PAGE:
        return None
    public = (getattr(symcost, name) for name in symcost.__all__)
    return True if any(found is each for each in public) else None


def _signature(
    _app: Sphinx,
    _what: str,
    _name: str,
    _found: object,
    _options: object,
    takes: str | None,
    gives: str | None,
) -> tuple[str | None, str | None]:
    """A default that is made anew for each object has no text that Python could read."""
    return takes and takes.replace("<factory>", "..."), gives


def _words(
    _app: Sphinx, what: str, _name: str, _found: object, _options: object, lines: list[str]
) -> None:
    """What stands before a colon in the first line of an attribute is no type of it."""
    if what in {"attribute", "data", "property"}:
        lines.insert(0, "")


def setup(app: Sphinx) -> dict[str, bool]:
    """Listen to autodoc."""
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-process-docstring", _words, priority=400)  # before napoleon
    return {"parallel_read_safe": True}
