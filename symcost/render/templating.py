"""Templates: where they lie, and how they are read."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_PACKAGE = Path(__file__).resolve().parent.parent
_FOLDERS = [_PACKAGE / "templates", _PACKAGE.parent / "templates"]
"""In an installed package templates lie inside it, in a checkout beside it."""


def environment(*, html: bool) -> Environment:
    """What reads templates; a name that nothing stands for is an error.

    Parameters
    ----------
    html : bool
        Whether what stands for names is escaped.
    """
    return Environment(
        loader=FileSystemLoader(_FOLDERS),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=html,  # noqa: S701  Markdown holds nothing that comes from a user
    )


def text_of(name: str) -> str:
    """A file among the templates as it is."""
    path = next(folder / name for folder in _FOLDERS if (folder / name).exists())
    return path.read_text(encoding="utf-8")
