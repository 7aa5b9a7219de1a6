"""Which execution each part of the model runs under."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from symcost.assignments import assignments, refusal
from symcost.execution import Execution


@dataclass(frozen=True)
class Executions:
    """The execution of the vision tower, and that of the decoder with the head."""

    vision: Execution = Execution.EAGER
    decoder: Execution = Execution.EAGER

    @classmethod
    def parse(cls, text: str) -> Executions:
        """Read one execution for both parts, or `vision=eager,decoder=fused`.

        A part that is not named runs eagerly.
        """
        names = [field.name for field in fields(cls)]
        allowed = (
            f"{', '.join(Execution)}, or NAME=EXECUTION for {', '.join(names)}, such as "
            "vision=eager,decoder=fused"
        )
        if text in list(Execution):
            return cls(Execution(text), Execution(text))
        given = assignments("execution", text, names, allowed)
        if not set(given.values()) <= set(Execution):
            raise refusal("execution", text, allowed)
        return replace(cls(), **{name: Execution(how) for name, how in given.items()})

    def __str__(self) -> str:
        if self.vision is self.decoder:
            return self.vision.value
        return f"vision={self.vision},decoder={self.decoder}"
