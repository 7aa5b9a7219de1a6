"""DeepSeek-OCR: SAM-B and CLIP-L, a linear projector, and a mixture-of-experts decoder."""

from symcost.models.deepseek_ocr.collectives import Collective, CollectiveKind
from symcost.models.deepseek_ocr.config import DeepseekOCRConfig
from symcost.models.deepseek_ocr.executions import Executions
from symcost.models.deepseek_ocr.geometry import MODES, Views, crop_grid, views_of_page
from symcost.models.deepseek_ocr.model import (
    DeepseekOCRModel,
    get_decode_cost_per_token,
    get_generation_cost,
    get_prefill_cost,
    get_vision_cost,
)
from symcost.models.deepseek_ocr.parallel import Parallel
from symcost.models.deepseek_ocr.reference import REFERENCES, VENDOR_PATHS
from symcost.models.deepseek_ocr.routing import Assumption, Routing
from symcost.models.deepseek_ocr.widths import Widths

__all__ = [
    "MODES",
    "REFERENCES",
    "VENDOR_PATHS",
    "Assumption",
    "Collective",
    "CollectiveKind",
    "DeepseekOCRConfig",
    "DeepseekOCRModel",
    "Executions",
    "Parallel",
    "Routing",
    "Views",
    "Widths",
    "crop_grid",
    "get_decode_cost_per_token",
    "get_generation_cost",
    "get_prefill_cost",
    "get_vision_cost",
    "views_of_page",
]
