"""symcost: what a neural network costs, as closed formulas."""

from typing import TYPE_CHECKING, Any

from symcost.cost import Cost, StageCost
from symcost.errors import SymcostError
from symcost.execution import Execution
from symcost.models import load
from symcost.models.deepseek_ocr import (
    DeepseekOCRModel,
    Executions,
    Routing,
    Views,
    Widths,
    get_decode_cost_per_token,
    get_generation_cost,
    get_prefill_cost,
    get_vision_cost,
    views_of_page,
)
from symcost.stages import FixedLayer, Layer, Stage, SyntheticKVCache
from symcost.version import __version__

if TYPE_CHECKING:
    from symcost.sweeps.sweeping import sweep

__all__ = [
    "Cost",
    "DeepseekOCRModel",
    "Execution",
    "Executions",
    "FixedLayer",
    "Layer",
    "Routing",
    "Stage",
    "StageCost",
    "SymcostError",
    "SyntheticKVCache",
    "Views",
    "Widths",
    "__version__",
    "get_decode_cost_per_token",
    "get_generation_cost",
    "get_prefill_cost",
    "get_vision_cost",
    "load",
    "sweep",
    "views_of_page",
]


def __getattr__(name: str) -> Any:
    """What takes time to load is loaded where it is asked for."""
    if name == "sweep":
        from symcost.sweeps.sweeping import sweep  # noqa: PLC0415

        return sweep
    raise AttributeError(f"module 'symcost' has no attribute {name!r}")
