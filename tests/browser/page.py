"""The explorer as tests open it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from symcost.render.explorer import explorer_page

GENERATED = Path(__file__).parents[2] / "generated" / "deepseek_ocr" / "explorer.html"


@cache
def page_text() -> str:
    """The page that `symcost generate` wrote, which golden tests compare, or a new one."""
    if GENERATED.exists():
        return GENERATED.read_text(encoding="utf-8")
    return explorer_page("deepseek-ocr")
