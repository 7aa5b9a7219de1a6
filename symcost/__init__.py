"""symcost: what a neural network costs, as closed formulas."""

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
    "views_of_page",
]
