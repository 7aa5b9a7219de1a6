"""Other tools that tell what a model costs: one evaluation of each, at a point of its own.

All but two count the operations of the real decoder on the meta device, which is what
`symcost verify` compares formulas with. A peer that is not installed, or fails, is told with its
reason.
"""

# ruff: noqa: PLC0415 - a peer is imported where it is measured, if it is there

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import cycle
from typing import Any, TypeAlias

Run: TypeAlias = Callable[[], object]
"""One evaluation, at another point each time that it is called."""


@dataclass(frozen=True)
class Peer:
    """A tool, what makes an evaluation, and what one evaluation gives."""

    name: str
    package: str
    gives: str
    make: Callable[[], Run]

    @property
    def version(self) -> str:
        try:
            return version(self.package)
        except PackageNotFoundError:
            return "not installed"


@cache
def _drawn() -> list[tuple[int, int]]:
    draw = random.Random(0)  # noqa: S311 - no secret
    return [(draw.randint(1, 16), draw.randint(200, 2048)) for _ in range(100_000)]


def points() -> Iterator[tuple[int, int]]:
    """Batches and lengths without end, other ones each time, so that remembering does not help."""
    return cycle(_drawn())


@cache
def _decoder() -> Any:
    """The real decoder on the meta device, as a module of token numbers."""
    import torch
    from transformers import DynamicCache

    from symcost.verify.port import port, run_decoder

    class Decoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.port = port()

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            batch, tokens = ids.shape
            return run_decoder(self.port, batch, tokens, DynamicCache())

    return Decoder()


def _on_decoder(count: Callable[[Any, Any], object]) -> Run:
    import torch

    decoder, at = _decoder(), points()

    def run() -> object:
        with torch.no_grad():
            return count(decoder, torch.zeros(*next(at), dtype=torch.long, device="meta"))

    return run


def _flop_counter_mode() -> Run:
    from torch.utils.flop_counter import FlopCounterMode

    def count(decoder: Any, ids: Any) -> int:
        with FlopCounterMode(display=False) as counter:
            decoder(ids)
        return int(counter.get_total_flops())

    return _on_decoder(count)


def _fvcore() -> Run:
    from fvcore.nn import FlopCountAnalysis

    def count(decoder: Any, ids: Any) -> int:
        analysis = FlopCountAnalysis(decoder, (ids,))
        analysis.unsupported_ops_warnings(enabled=False)
        analysis.uncalled_modules_warnings(enabled=False)
        return int(analysis.total())

    return _on_decoder(count)


def _torchinfo() -> Run:
    from torchinfo import summary

    return _on_decoder(
        lambda decoder, ids: (
            summary(decoder, input_data=(ids,), device="meta", depth=1, verbose=0).total_mult_adds
        )
    )


def _calflops() -> Run:
    from calflops import calculate_flops

    return _on_decoder(
        lambda decoder, ids: calculate_flops(
            decoder, args=[ids], print_results=False, output_as_string=False
        )
    )


def _genz() -> Run:
    from GenZ import prefill_moddeling

    at = points()

    def run() -> object:
        batch, tokens = next(at)
        return prefill_moddeling(
            model="deepseek-ai/deepseek-moe-16b-base",
            batch_size=batch,
            input_tokens=tokens,
            system_name="A100_80GB_GPU",
            bits="bf16",
            model_profilling=True,
        )

    return run


def _aiconfigurator() -> Run:
    from aiconfigurator_core.sdk.engine import EngineHandle

    engine, at = EngineHandle.compile("Qwen/Qwen3-30B-A3B", "h100_sxm", "trtllm"), points()
    return lambda: engine.predict_prefill_latency(*next(at))


PEERS = (
    Peer(
        "aiconfigurator",
        "aiconfigurator",
        "the seconds of one prefill of Qwen3-30B-A3B, interpolated in measured tables of one "
        "device (compiled Rust); no counts",
        _aiconfigurator,
    ),
    Peer(
        "GenZ",
        "genz-llm",
        "FLOPs and bytes of one prefill of deepseek-moe-16b, operator by operator, as a table",
        _genz,
    ),
    Peer(
        "FlopCounterMode",
        "torch",
        "matrix FLOPs of the decoder at one point, which is run on the meta device",
        _flop_counter_mode,
    ),
    Peer(
        "torchinfo",
        "torchinfo",
        "multiply-adds of the modules with weights, of the decoder at one point, run on meta",
        _torchinfo,
    ),
    Peer(
        "calflops",
        "calflops",
        "FLOPs of the functions that it patches, of the decoder at one point, run on meta",
        _calflops,
    ),
    Peer(
        "fvcore",
        "fvcore",
        "multiply-accumulates of the decoder at one point, from a trace of it on meta",
        _fvcore,
    ),
)


def made(peer: Peer) -> Run | str:
    """One evaluation of a peer that works, or why it does not."""
    try:
        run = peer.make()
        run()
    except Exception as error:  # whatever a foreign tool raises is told
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return run


def quiet() -> warnings.catch_warnings[None]:
    """Peers without their warnings, which are theirs to mend."""
    return warnings.catch_warnings(action="ignore")
