"""Models: trees of layers under the paths of the real modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from symcost.errors import InputError
from symcost.models.deepseek_ocr.model import DeepseekOCRModel

MODELS: Mapping[str, Callable[..., DeepseekOCRModel]] = MappingProxyType(
    {"deepseek-ocr": DeepseekOCRModel.from_config}
)
"""Every model by name, and how it is made."""


def load(name: str, **options: Any) -> DeepseekOCRModel:
    """A model by name, in its published configuration unless another is given.

    Parameters
    ----------
    name : str
        "deepseek-ocr".
    **options
        What `DeepseekOCRModel.from_config` takes: config, views, reference, execution, lm_head,
        widths, routing, parallel.

    Examples
    --------
    >>> import symcost
    >>> model = symcost.load("deepseek-ocr", views=symcost.views_of_page(1654, 2339))
    >>> symcost.get_prefill_cost(model, context_len=924, batch_size=1).matrix_flops
    4562612649984
    """
    require_model(name)
    return MODELS[name](**options)


def require_model(name: str) -> None:
    """Raise unless there is a model of that name."""
    if name not in MODELS:
        raise InputError(f"model is {name!r}; allowed: {', '.join(MODELS)}")
