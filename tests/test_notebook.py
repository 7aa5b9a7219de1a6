"""The example notebook shows what it says it shows."""

from __future__ import annotations

import json
from copy import deepcopy

import nbformat
import pytest
from nbformat import NotebookNode

from tests.notebook import EXAMPLE, code_cells, executed, read


def shown(notebook: NotebookNode) -> list[tuple[str, int, str]]:
    """What each cell shows, in all formats, and in which order they ran."""
    return [
        (cell.source, cell.execution_count, json.dumps(cell.outputs, sort_keys=True, indent=1))
        for cell in code_cells(notebook)
    ]


@pytest.fixture(scope="module")
def stored() -> NotebookNode:
    return read(EXAMPLE)


@pytest.fixture(scope="module")
def fresh(stored: NotebookNode) -> NotebookNode:
    return executed(stored)


def test_the_notebook_shows_what_its_cells_compute(stored, fresh):
    assert shown(fresh) == shown(stored)
    assert [cell.execution_count for cell in code_cells(stored)] == list(
        range(1, len(code_cells(stored)) + 1)
    )


def test_running_it_again_changes_no_byte(fresh):
    assert nbformat.writes(fresh) + "\n" == EXAMPLE.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["text/html", "text/markdown", "text/latex"])
def test_a_broken_output_is_noticed(stored, fresh, kind):
    broken = deepcopy(stored)
    cell = next(c for c in code_cells(broken) if c.outputs and kind in c.outputs[0].get("data", ()))
    text = cell.outputs[0].data[kind]
    cell.outputs[0].data[kind] = text.replace("1", "7", 1)
    assert cell.outputs[0].data[kind] != text
    assert shown(fresh) != shown(broken)
