"""What most commands are asked about: a model, what is assumed of it, and a workload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import wraps
from inspect import Signature, signature
from typing import Any

from symcost.cli import options as given
from symcost.execution import Execution
from symcost.insight.collectives import AllReduce
from symcost.insight.subject import CROPS, Subject
from symcost.models import load
from symcost.models.deepseek_ocr.config import DeepseekOCRConfig, from_file
from symcost.models.deepseek_ocr.executions import Executions
from symcost.models.deepseek_ocr.geometry import Views
from symcost.models.deepseek_ocr.model import DeepseekOCRModel
from symcost.models.deepseek_ocr.parallel import ONE_DEVICE, Parallel
from symcost.models.deepseek_ocr.routing import Assumption, Routing
from symcost.models.deepseek_ocr.widths import Widths
from symcost.models.deepseek_ocr.workload import Workload
from symcost.render.report import asked, lengths


@dataclass(frozen=True)
class Request:
    """A model, what is assumed of it, and the options that describe a workload."""

    model: str
    reference: str
    executions: Executions
    lm_head: given.Head
    widths: Widths
    routing: Routing
    parallel: Parallel
    config: DeepseekOCRConfig | None
    sizes: dict[str, Any]

    def build(self, views: Views | None) -> DeepseekOCRModel:
        """The model that sees the given views."""
        return load(
            self.model,
            views=views,
            execution=self.executions,
            lm_head=self.lm_head.value,
            **self._assumed,
        )

    def workload(self) -> Workload:
        """The workload."""
        return Workload.from_options(**self.sizes)

    def subject(self, opened: str, all_reduce: AllReduce) -> Subject:
        """What is asked about, with one size left open."""
        return Subject.of(
            self.model,
            opened,
            execution=self.executions,
            lm_head=self.lm_head.value,
            all_reduce=all_reduce,
            assumed=self._assumed,
            **self.sizes,
        )

    @property
    def _assumed(self) -> dict[str, Any]:
        return {
            "config": self.config,
            "reference": self.reference,
            "widths": self.widths,
            "routing": self.routing,
            "parallel": self.parallel,
        }

    def _sizes(self, opened: str, unknown: str | None) -> dict[str, Any]:
        """The sizes of the workload, with something else for what is open or follows that."""
        w: dict[str, Any] = self.workload().as_dict()
        of_views = opened in {CROPS, "base_size", "tile_size"}
        if opened == CROPS:
            w |= {"crop_grid": unknown and unknown * 2, "crops": unknown}
        elif opened:
            w[opened] = unknown
        if of_views:
            w |= {"image_tokens": unknown, "vision_tokens": unknown}
        follows = of_views and self.sizes["context_len"] is None
        if follows:
            w["context_len"] = unknown
        if (follows or opened == "context_len") and self.sizes["cached"] is None:
            w["cached"] = unknown
        return w

    def title(self, opened: str = "") -> str:
        """What is asked about, in a line or two, with a question mark for what is open."""
        w = self._sizes(opened, "?")
        head = "the last token" if self.lm_head is given.Head.LAST else "all tokens"
        assumed = [self.reference, str(self.executions), f"head on {head}"]
        if self.widths != Widths():
            assumed.append(f"widths {self.widths}")
        if self.routing != Routing():
            assumed.append(f"experts {self.routing}")
        if self.config is not None:
            assumed.append("a configuration of its own")
        how = f"{self.model} ({', '.join(assumed)})"
        return asked(how, w, self.parallel) + lengths(w)

    def told(self, opened: str = "") -> dict[str, Any]:
        """What is asked about, as JSON shows it; what is open is null."""
        return {
            "model": self.model,
            "reference": self.reference,
            "execution": str(self.executions),
            "lm_head": self.lm_head.value,
            "width": str(self.widths),
            "experts": str(self.routing),
            "parallel": str(self.parallel),
            "config": None if self.config is None else asdict(self.config),
            "workload": self._sizes(opened, None),
        }


def request(
    model: given.Model,
    mode: given.Mode = None,
    image: given.Image = None,
    base_size: given.BaseSize = None,
    tile_size: given.TileSize = None,
    crop_grid: given.CropGrid = None,
    no_image: given.NoImage = False,
    batch: given.Batch = None,
    prompt_tokens: given.PromptTokens = None,
    context_len: given.ContextLen = None,
    cached: given.Cached = None,
    new_tokens: given.NewTokens = 1,
    reference: given.Reference = "vendor",
    execution: given.ExecutionOption = Execution.EAGER.value,
    lm_head: given.LmHead = given.Head.ALL,
    width: given.Width = "weights=2,activations=2,kv=2",
    experts: given.Experts = Assumption.EXPECTED.value,
    parallel: given.Parallel = str(ONE_DEVICE),
    config: given.Config = None,
) -> Request:
    """What the options describe; illegal ones are refused."""
    sizes = {
        "mode": mode,
        "image": image,
        "base_size": base_size,
        "tile_size": tile_size,
        "crop_grid": crop_grid,
        "no_image": no_image,
        "batch": batch,
        "prompt_tokens": prompt_tokens,
        "context_len": context_len,
        "cached": cached,
        "new_tokens": new_tokens,
    }
    found = Request(
        model,
        reference,
        Executions.parse(execution),
        lm_head,
        Widths.parse(width),
        Routing.parse(experts),
        Parallel.parse(parallel),
        None if config is None else from_file(config),
        sizes,
    )
    found.workload()
    return found


def with_request(**defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of a request; it is called with the request and its own options.

    An option of its own takes the place of one of the request, which then has its default.

    Parameters
    ----------
    **defaults
        Options of the request whose defaults are others for this command.
    """
    model, *shared = signature(request, eval_str=True).parameters.values()
    shared = [p.replace(default=defaults.get(p.name, p.default)) for p in shared]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        _, *own = signature(command, eval_str=True).parameters.values()
        names = {p.name for p in own}
        others = [p for p in (model, *shared) if p.name not in names]

        @wraps(command)
        def run(**values: Any) -> None:
            command(request(**{p.name: values.pop(p.name) for p in others}), **values)

        every = (model, *own, *others[1:])
        run.__signature__ = Signature(every)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in every}
        return run

    return decorate
