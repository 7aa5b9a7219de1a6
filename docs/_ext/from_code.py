"""What pages show of the code itself: the commands as they are, and every operator's rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import getdoc, signature
from textwrap import indent

import typer
from sphinx.application import Sphinx
from sphinx.ext.napoleon import NumpyDocstring
from typer.cli import get_docs_for_click

from symcost.cli.main import app as program
from symcost.operators import OPERATORS

PLACE = "<!-- from the code -->"


def _commands(_app: Sphinx) -> Iterator[str]:
    group = typer.main.get_command(program)
    with group.make_context("symcost", [], resilient_parsing=True) as context:
        for command in group.commands.values():
            yield get_docs_for_click(obj=command, ctx=context, indent=1, call_prefix="symcost")


def _operators(app: Sphinx) -> Iterator[str]:
    yield "```{eval-rst}"
    yield ".. py:currentmodule:: symcost.operators\n"
    for name, operator in OPERATORS.items():
        takes = ", ".join(("at", *signature(operator.rule).parameters))
        yield f".. py:function:: {name}({takes})\n"
        told = NumpyDocstring(getdoc(operator.rule) or "", app.config, app, "function", name)
        counted = operator.flops_per_element and (
            f"{operator.flops_per_element} for each {operator.unit} ({operator.reason})"
        )
        facts = f"In torch ``{operator.torch}``. Vector FLOPs: {counted or 'none'}."
        yield indent(f"{told}\n\n{facts}\n", "   ")
    yield "```"


PAGES: dict[str, Callable[[Sphinx], Iterator[str]]] = {
    "reference/cli": _commands,
    "reference/operators": _operators,
}


def _fill(app: Sphinx, page: str, source: list[str]) -> None:
    if page in PAGES:
        before, after = source[0].split(PLACE)
        source[0] = before + "\n".join(PAGES[page](app)) + after


def setup(app: Sphinx) -> dict[str, bool]:
    """Fill the pages when they are read."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True}
