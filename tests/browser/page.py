"""The explorer as tests open it: what `symcost generate` wrote, which golden tests compare."""

from __future__ import annotations

from functools import cache
from pathlib import Path

GENERATED = Path(__file__).parents[2] / "generated" / "deepseek_ocr" / "explorer.html"


@cache
def page_text() -> str:
    """The page."""
    return GENERATED.read_text(encoding="utf-8")
