"""What `symcost verify` and `symcost prove` found: stored, and as the document shows it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from symcost.errors import InputError
from symcost.paths import enclosing
from symcost.render.byte_verification import byte_sections
from symcost.render.document.display import math
from symcost.render.proof import certified
from symcost.render.sections import table_lines
from symcost.trace.statements import Claim, current_statements, formulas_of
from symcost.verify import eager
from symcost.verify.grid import FULL, FULL_BYTES
from symcost.verify.quantities import Quantity
from symcost.verify.stated import digest, stated_by_page
from symcost.verify.targets import Target

VERIFICATION, BYTES, PROOF = "verification.json", "bytes.json", "proof.json"
COMMANDS = {
    VERIFICATION: "symcost verify {model} --format json -o {path}",
    BYTES: "symcost verify {model} --bytes --format json -o {path}",
    PROOF: "symcost prove {model} --format json -o {path}",
}

_IN_VERIFICATION = (
    *("formulas", "grid", "targets", "problems", "rows", "mutants", "versions", "comparisons"),
    *("comparisons_not_zero", "module_paths", "worst_difference", "blind_spots", "limits"),
)
_IN_BYTES = (
    *("formulas", "grid", "problems", "rows", "remaining", "routing", "peaks", "mutants"),
    *("versions", "comparisons", "module_paths"),
)
_IN_PROOF = ("certificates", "coverage", "methods", "failures", "versions")
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


def verification_of(model: str, text: str, present: str) -> dict[str, Any]:
    """A stored verification, refused unless it is one of these formulas, whole and without fault.

    Parameters
    ----------
    present : str
        The fingerprint of the present formulas.

    Raises
    ------
    InputError
        It speaks of other formulas, of a part of the grid, or of differences.
    """
    found = _read(model, VERIFICATION, text, _IN_VERIFICATION)
    command = _command(model, VERIFICATION)
    if found["formulas"] != present:
        raise InputError(f"{VERIFICATION} is of other formulas; verify these: {command}")
    if found["grid"] != FULL.as_dict() or found["targets"] != list(Target):
        raise InputError(f"{VERIFICATION} is not of the full grid; run: {command}")
    if found["problems"]:
        raise InputError(f"{VERIFICATION} tells of problems: {found['problems'][0]}")
    quantities = {row["quantity"] for row in found["rows"] if row["difference"] == 0}
    whole = quantities == set(Quantity) and not found["mutants"]["survivors"]
    if found["worst_difference"] != 0 or not whole:
        raise InputError(f"{VERIFICATION} is not as it was written; run: {command}")
    return found


def bytes_of(model: str, text: str, present: str) -> dict[str, Any]:
    """A stored verification of bytes, refused unless it is one of these formulas and whole.

    Parameters
    ----------
    present : str
        The fingerprint of the present eager formulas.

    Raises
    ------
    InputError
        It speaks of other formulas, of a part of the grid, or of problems.
    """
    found = _read(model, BYTES, text, _IN_BYTES)
    command = _command(model, BYTES)
    if found["formulas"] != present:
        raise InputError(f"{BYTES} is of other formulas; verify these: {command}")
    if found["grid"] != FULL_BYTES.as_dict():
        raise InputError(f"{BYTES} is not of the full grid; run: {command}")
    if found["problems"] or found["mutants"]["survivors"]:
        raise InputError(f"{BYTES} tells of problems; run: {command}")
    return found


def proof_of(model: str, text: str, statements: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """A stored proof, refused unless it is one of these formulas and complete.

    Parameters
    ----------
    statements : mapping
        What is stated now, by stage and path.

    Raises
    ------
    InputError
        A certificate states another formula, or one is missing.
    """
    found = _read(model, PROOF, text, _IN_PROOF)
    command = _command(model, PROOF)
    certificates = found["certificates"]
    for certificate in certificates:
        stage, path = certificate["stage"], certificate["path"]
        if certificate["statement"] != statements.get((stage, path)):
            raise InputError(
                f"{PROOF} proves another formula of {path or 'the whole model'} in {stage}; prove "
                f"the present ones: {command}"
            )
    proved = {(certificate["stage"], certificate["path"]) for certificate in certificates}
    for stage, operator in statements:
        for path in enclosing(operator.rpartition(".")[0]):
            if (stage, path) not in proved:
                raise InputError(
                    f"{PROOF} has no certificate of {path or 'the whole model'} in {stage}; run: "
                    f"{command}"
                )
    for row in found["coverage"]:
        counted = sum(certificate["stage"] == row["stage"] for certificate in certificates)
        if not row["with_work"] == row["certified"] == counted:
            raise InputError(f"{PROOF} is not complete in {row['stage']}; run: {command}")
    if found["failures"] or not found["coverage"]:
        raise InputError(f"{PROOF} is not complete; run: {command}")
    return found


def shown(model: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """What the template names of the evidence."""
    stages = stated_by_page(model)
    formulas = formulas_of(stages)
    found = verification_of(model, texts[VERIFICATION], digest(stages))
    moved = bytes_of(model, texts[BYTES], eager.digest(eager.graphs_of(model)))
    proof = proof_of(model, texts[PROOF], current_statements(formulas))
    mutants = found["mutants"]
    return {
        "verification": found,
        "noticed": mutants["made"] - mutants["refused"] - len(mutants["survivors"]),
        "verified": [row for row in found["rows"] if row["part"] in ("", "attention block")],
        "grid": sizes(found),
        "proof": proof,
        "moved": moved,
        "moved_tables": [(part.title, list(table_lines(part))) for part in byte_sections(moved)],
        "certified": [
            (row, math(formulas[Claim(row.stage)][row.first]))
            for row in certified(proof["certificates"])
        ],
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
