"""What `symcost verify` and `symcost prove` found: as it is stored, and as the document shows it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from symcost.errors import InputError
from symcost.verify.grid import FULL
from symcost.verify.stated import digest
from symcost.verify.targets import Target

VERIFICATION, PROOF = "verification.json", "proof.json"
COMMANDS = {
    VERIFICATION: "symcost verify {model} --format json -o {path}",
    PROOF: "symcost prove {model} --format json -o {path}",
}

_PACKAGE = Path(__file__).resolve().parents[2]
_STORED = (_PACKAGE / "evidence", _PACKAGE.parent / "generated")
"""In an installed package evidence lies inside it, in a checkout beside it."""


def folder(model: str) -> str:
    """The folder of a model's generated files."""
    return model.replace("-", "_")


def stored(model: str, root: Path) -> dict[str, str]:
    """The files of evidence by name: those of the project at hand, else those that symcost brings.

    Raises
    ------
    InputError
        A file is nowhere, or cannot be read; the message says which command makes it.
    """
    texts: dict[str, str] = {}
    for name in COMMANDS:
        places = [base / folder(model) / name for base in (root / "generated", *_STORED)]
        path = next((place for place in places if place.exists()), None)
        if path is None:
            raise InputError(f"{places[0]} is missing; make it: {_command(model, name)}")
        try:
            texts[name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} cannot be read: {error}") from None
    return texts


def _command(model: str, name: str) -> str:
    path = f"generated/{folder(model)}/{name}"
    return COMMANDS[name].format(model=model, path=path)


def _read(model: str, name: str, text: str, keys: Iterable[str]) -> dict[str, Any]:
    try:
        found = json.loads(text)
        missing = [key for key in keys if key not in found]
    except (ValueError, TypeError):
        found, missing = {}, list(keys)
    if missing:
        raise InputError(f"{name} is not evidence as it is written; run: {_command(model, name)}")
    return dict(found)


def verification_of(model: str, text: str) -> dict[str, Any]:
    """A stored verification, refused unless it is one of these formulas, whole and without fault.

    Raises
    ------
    InputError
        It speaks of other formulas, of a part of the grid, or of differences.
    """
    found = _read(model, VERIFICATION, text, ("formulas", "grid", "targets", "problems", "rows"))
    command = _command(model, VERIFICATION)
    if found["formulas"] != digest(model):
        raise InputError(f"{VERIFICATION} is of other formulas; verify these: {command}")
    if found["grid"] != FULL.as_dict() or found["targets"] != list(Target):
        raise InputError(f"{VERIFICATION} is not of the full grid; run: {command}")
    if found["problems"]:
        raise InputError(f"{VERIFICATION} tells of problems: {found['problems'][0]}")
    return found


def shown(model: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """What the template names of the evidence."""
    found = verification_of(model, texts[VERIFICATION])
    mutants = found["mutants"]
    return {
        "verification": found,
        "noticed": mutants["made"] - mutants["refused"] - len(mutants["survivors"]),
        "verified": [row for row in found["rows"] if row["part"] in ("", "attention block")],
        "grid": sizes(found),
    }


def sizes(found: Mapping[str, Any]) -> dict[str, list[Any]]:
    """All sizes of the grid on which a verification ran."""
    every = [workload for workloads in found["grid"].values() for workload in workloads]
    pages = [workload for workload in every if workload["base_size"]]
    return {
        "sides": _different(workload["base_size"] for workload in pages),
        "grids": _different(tuple(workload["crop_grid"]) for workload in pages),
        "batches": _different(workload["batch"] for workload in every),
        "lengths": _different(workload["context_len"] for workload in every),
        "cached": _different(workload["cached"] for workload in every),
    }


def _different(values: Iterable[Any]) -> list[Any]:
    return sorted(set(values))
