"""fvcore's FlopCountAnalysis on the real model, module by module.

It traces with torch.jit, counts 1 for each multiply-accumulate and 5 for each element of a
LayerNorm with weights. Its own rule for einsum reads a number with four digits back from a printed
report; an exact one takes its place here.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.jit_handles import get_shape

from symcost.verify.counters import Count

EINSUM = "aten::einsum"


def einsum_macs(inputs: list[Any], _: list[Any]) -> int:
    """The multiply-accumulates of a contraction of two tensors: the product of all its sizes."""
    names = inputs[0].toIValue().split("->")[0].split(",")
    shapes = [get_shape(value) for value in inputs[1].node().inputs()]
    sizes = {
        name: size
        for letters, shape in zip(names, shapes, strict=True)
        for name, size in zip(letters.replace(" ", ""), shape, strict=True)
    }
    return math.prod(sizes.values())


class _Call(torch.nn.Module):
    """A call on a model as a module, which is what fvcore analyses."""

    def __init__(self, model: torch.nn.Module, run: Callable[[], Any]) -> None:
        super().__init__()
        self.model = model
        self._run = run

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        """All results of the call as one tensor."""
        made = self._run()
        return torch.cat(made) if isinstance(made, tuple) else made


_HELD = "model"
"""The name under which a call holds the model."""


def count(
    model: torch.nn.Module, run: Callable[[], Any], *, einsum: Callable[..., Any] = einsum_macs
) -> Count:
    """What fvcore counts of the model while something runs.

    Convolutions must lie in real memory: fvcore cannot trace them on the meta device.

    Parameters
    ----------
    einsum : callable
        The rule for einsum.
    """
    analysis = FlopCountAnalysis(_Call(model, run), (torch.zeros(1),))
    analysis.set_op_handle(EINSUM, einsum)
    analysis._ignored_ops = set()  # it keeps silent about some operators; here none is passed over
    analysis.unsupported_ops_warnings(False)
    analysis.uncalled_modules_warnings(False)
    analysis.tracer_warnings("none")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counts = analysis.by_module_and_operator()
        uncounted = analysis.unsupported_ops()
    return Count(
        {
            path.removeprefix(f"{_HELD}."): dict(by_operator)
            for path, by_operator in counts.items()
            if path != _HELD
        },
        dict.fromkeys(uncounted, ""),
    )
