"""Runs the example notebook; `python -m tests.notebook` writes into it what its cells show."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

EXAMPLE = Path(__file__).parents[1] / "docs/example.ipynb"


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def executed(notebook: NotebookNode) -> NotebookNode:
    """The notebook with the outputs of a fresh kernel, and nothing that differs from run to run."""
    fresh = nbformat.from_dict(notebook)
    for cell in code_cells(fresh):
        cell.outputs, cell.execution_count = [], None
    NotebookClient(fresh, kernel_name="python3", record_timing=False, timeout=60).execute()
    fresh.metadata.language_info = {"name": "python"}
    return fresh


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def main() -> None:
    nbformat.write(executed(read(EXAMPLE)), EXAMPLE)


if __name__ == "__main__":
    main()
