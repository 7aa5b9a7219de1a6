"""What `symcost generate` writes: documents from templates, and the data that they show."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from symcost.errors import InputError
from symcost.execution import Execution
from symcost.export.files import Export, Language
from symcost.export.formulas_json import formulas_object, json_text
from symcost.export.schema import formulas_schema
from symcost.models import load
from symcost.models.deepseek_ocr.reference import REFERENCES
from symcost.models.deepseek_ocr.routing import Routing
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import symbolic_stages
from symcost.render.document import context, evidence
from symcost.render.explorer import explorer_page
from symcost.render.templating import environment


def generated_files(model: str, root: Path) -> dict[Path, str | bytes]:
    """Every generated file by its path in the project; the same bytes whenever it is called.

    Parameters
    ----------
    root : Path
        The project, whose stored evidence the document shows.

    Raises
    ------
    InputError
        The evidence is missing, or is of other formulas; or an extra is not installed.
    """
    # It loads NumPy, which other commands do not need.
    from symcost.render.plots.drawing import plots_of_page  # noqa: PLC0415

    folder = Path("generated") / evidence.folder(model)
    plots = plots_of_page(model)
    by_reference = {
        name: {
            execution.value: symbolic_stages(
                load(
                    model,
                    reference=name,
                    execution=execution,
                    widths=Widths.SYMBOLIC,
                    routing=Routing.SYMBOLIC,
                )
            )
            for execution in Execution
        }
        for name in REFERENCES
    }
    proofs = evidence.stored(model, root)
    shown = context(model, by_reference, proofs)
    files: dict[Path, str | bytes] = {folder / name: text for name, text in proofs.items()}
    export = Export.of(model)
    for language in Language:
        files |= {folder / name: content for name, content in export.files(language).items()}
    files[folder / "formulas.schema.json"] = json_text(formulas_schema()) + "\n"
    files |= {folder / "plots" / f"{kind}.svg": plot for kind, plot in plots.items()}
    files |= {
        folder / f"formulas_{name}.json": json_text(formulas_object(model, name, stages)) + "\n"
        for name, stages in by_reference.items()
    }
    files[folder / "explorer.html"] = explorer_page(model)
    example = {name: report.as_dict() for name, report in shown["example"].items()}
    files[folder / "example.json"] = json_text(example) + "\n"
    template = environment(html=False).get_template("HOLISTIC_ANALYSIS.md.j2")
    files[Path("docs") / "HOLISTIC_ANALYSIS.md"] = template.render(shown)
    return files


def differences(files: Mapping[Path, str | bytes]) -> str:
    """What lies on disk against what should, as a unified diff; empty where they agree."""
    changes: list[str] = []
    for path, wanted in files.items():
        try:
            present = path.read_bytes() if path.exists() else b""
            if isinstance(wanted, bytes):
                changes += [] if present == wanted else [f"{path} is not what is generated\n"]
                continue
            changes += difflib.unified_diff(
                present.decode().splitlines(keepends=True),
                wanted.splitlines(keepends=True),
                f"{path} (on disk)",
                f"{path} (generated)",
            )
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} cannot be read: {error}") from None
    return "".join(changes)
