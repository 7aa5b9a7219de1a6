"""What a proof is made of: certificates, or failures. Nothing here needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from symcost.verify.stated import REFERENCE


@dataclass(frozen=True)
class Method:
    """A way in which formulas are proved, with the traces that it rests on.

    Parameters
    ----------
    name : str
        How certificates refer to it.
    how : str
        What is shown.
    domain : str
        The sizes for which it is shown.
    cases : tuple of str
        The sizes of each trace; together they cover the domain.
    guards : tuple of str
        What torch assumed of the sizes beyond their ranges; cases include it.
    """

    name: str
    how: str
    domain: str
    cases: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()


@dataclass(frozen=True)
class Certificate:
    """A formula of one module that is proved equal to what the real code does.

    Parameters
    ----------
    stage, path : str
        The stage, and the path of the real module; the whole is the path "".
    statement : str
        The formula.
    methods : tuple of str
        How it is proved, by name.
    domain : str
        The sizes for which it is proved.
    guards : tuple of str
        What torch assumed of the sizes; the domain is complete nonetheless.
    """

    stage: str
    path: str
    statement: str
    methods: tuple[str, ...]
    domain: str
    guards: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """Something that is not proved: formulas that differ, or a proof that does not hold.

    Parameters
    ----------
    stage, path : str
        Where; both empty for what concerns a whole proof.
    where : str
        The sizes, or what is wrong.
    stated, traced, difference : str
        The formulas that differ, and the one minus the other.
    against : str
        What the second formula is.
    """

    stage: str
    path: str
    where: str
    stated: str = ""
    traced: str = ""
    difference: str = ""
    against: str = "traced"

    def __str__(self) -> str:
        if not self.stage:
            return self.where
        subject = f"{self.stage}: {self.path or 'the whole model'}"
        if not self.difference:
            return f"{subject}: {self.where}"
        return (
            f"{subject}: stated {self.stated}, {self.against} {self.traced}, difference "
            f"{self.difference} ({self.where})"
        )


@dataclass(frozen=True)
class Coverage:
    """How many modules of a stage have matrix work, how many of them are certified, and the rest.

    Modules without matrix work are shown to have none.
    """

    stage: str
    with_work: int
    certified: int
    without_work: int


@dataclass(frozen=True)
class Proof:
    """What is proved, and what is not."""

    certificates: tuple[Certificate, ...]
    failures: tuple[Failure, ...]
    methods: Mapping[str, Method]
    coverage: tuple[Coverage, ...]
    versions: Mapping[str, str]
    model: str = "deepseek-ocr"

    @property
    def covered(self) -> bool:
        """Whether every module with matrix work has its certificate, and nothing failed."""
        complete = all(row.with_work == row.certified > 0 for row in self.coverage)
        return complete and not self.failures

    @property
    def problems(self) -> list[str]:
        """Everything that makes the proof fail, a line each."""
        without = [
            f"{row.stage}: {row.with_work - row.certified} modules have no certificate"
            for row in self.coverage
            if row.with_work != row.certified
        ]
        return [*map(str, self.failures), *without]

    def as_dict(self) -> dict[str, Any]:
        """The proof as JSON shows it."""
        return {
            "model": self.model,
            "reference": REFERENCE,
            "versions": dict(self.versions),
            "coverage": [asdict(row) for row in self.coverage],
            "methods": {
                name: {
                    "how": method.how,
                    "domain": method.domain,
                    "guards": list(method.guards),
                    "cases": list(method.cases),
                }
                for name, method in self.methods.items()
            },
            "certificates": [
                {
                    "stage": certificate.stage,
                    "path": certificate.path,
                    "statement": certificate.statement,
                    "methods": list(certificate.methods),
                    "domain": certificate.domain,
                }
                for certificate in self.certificates
            ],
            "failures": [asdict(failure) for failure in self.failures],
        }
