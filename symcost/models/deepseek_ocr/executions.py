"""Which execution each part of the model runs under."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from symcost.errors import InputError
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
            f"allowed: {', '.join(Execution)}, or NAME=EXECUTION for {', '.join(names)}, such as "
            "vision=eager,decoder=fused"
        )
        if text in list(Execution):
            return cls(Execution(text), Execution(text))
        given: dict[str, Execution] = {}
        for item in text.split(","):
            name, _, execution = item.partition("=")
            if name not in names or name in given or execution not in list(Execution):
                raise InputError(f"execution is {text!r}; {allowed}")
            given[name] = Execution(execution)
        return replace(cls(), **given)

    def __str__(self) -> str:
        if self.vision is self.decoder:
            return self.vision.value
        return f"vision={self.vision},decoder={self.decoder}"
