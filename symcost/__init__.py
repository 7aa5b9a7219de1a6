"""symcost: what a neural network costs, as closed formulas."""

from symcost.cost import Cost, StageCost
from symcost.errors import InputError, SymcostError
from symcost.execution import Execution
from symcost.models.deepseek_ocr import (
    DeepseekOCRModel,
    Views,
    Widths,
    get_decode_cost_per_token,
    get_prefill_cost,
    get_vision_cost,
    views_of_page,
)
from symcost.stages import FixedLayer, Layer, Stage, SyntheticKVCache
from symcost.version import __version__
