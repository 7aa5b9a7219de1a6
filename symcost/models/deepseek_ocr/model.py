"""DeepSeek-OCR as a whole: three stages over the vision tower, the decoder and the head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from typing import Self

import sympy as sp

from symcost.cost import Cost, SequenceCost, StageCost
from symcost.display import Cell, Displayed, Sheet, Table, cell
from symcost.errors import InputError, StageError
from symcost.exact import Amount, Number, as_rational, simplest
from symcost.execution import Execution, held
from symcost.graph import Graph
from symcost.models.deepseek_ocr import collectives
from symcost.models.deepseek_ocr.collectives import Collective
from symcost.models.deepseek_ocr.config import DecoderConfig, DeepseekOCRConfig, published
from symcost.models.deepseek_ocr.decoder import decoder, head
from symcost.models.deepseek_ocr.executions import Executions
from symcost.models.deepseek_ocr.geometry import SYMBOLIC, Views
from symcost.models.deepseek_ocr.parallel import ONE_DEVICE, Parallel
from symcost.models.deepseek_ocr.reference import reference_named
from symcost.models.deepseek_ocr.routing import Routing, touched
from symcost.models.deepseek_ocr.vision import PARTS, vision
from symcost.models.deepseek_ocr.widths import Widths
from symcost.stages import (
    GraphLayer,
    Layer,
    Stage,
    SyntheticKVCache,
    over_tokens,
    shared_layer,
)
from symcost.symbols import ZERO, B, Expr, K, S, Size, T, U, as_expr, check_size, w_w
from symcost.tensor import Tensor

_TOLD = ("reference", "execution", "page")
"""What of a loaded model a line tells."""


class DeepseekOCRModel(Displayed):
    """The root model. A stage is entered by a `start_*` method and then asked for its cost.

    * vision: the vision tower and the projector; no cache is touched.
    * prefill: vision, the decoder on the whole context, and the head.
    * decode: the decoder on one token per sequence, and the head; vision does not run.

    Sizes are integers or symbols, and costs are then numbers or formulas. Of a model that is spread
    over devices the batch is that of all of them, and costs are those of one, the busiest.
    """

    def __init__(
        self,
        *,
        vision_layer: Layer | None,
        prefill_decoder: Layer | None,
        step_decoder: Layer | None,
        num_decoder_layers: int,
        head_layer: Layer | None,
        widths: Widths,
        image_tokens: Size = 0,
        decoder_config: DecoderConfig | None = None,
        routing: Routing | None = None,
        parallel: Parallel = ONE_DEVICE,
        exchanged: Mapping[str, tuple[Collective, ...]] | None = None,
        loaded: Mapping[str, str] | None = None,
    ) -> None:
        self._vision_layer = vision_layer
        self._prefill_decoder = prefill_decoder
        self._step_decoder = step_decoder
        self._num_decoder_layers = num_decoder_layers
        self._head_layer = head_layer
        self._widths = widths
        self._image_tokens = as_expr(image_tokens)
        self._decoder_config = decoder_config
        self._routing = Routing() if routing is None else routing
        self._parallel = parallel
        self._exchanged = {} if exchanged is None else exchanged
        self._loaded = {} if loaded is None else loaded
        self._stage: Stage | None = None
        self._batch_size: Size | None = None
        self._tokens: Size = 1
        self._before = SyntheticKVCache()
        self._cache: SyntheticKVCache | None = None

    @classmethod
    def from_layers(
        cls,
        vision_layer: Layer | None,
        decoder_layer: Layer | None,
        num_decoder_layers: int,
        head_layer: Layer | None = None,
    ) -> Self:
        """A model of layers that state their costs.

        Parameters
        ----------
        vision_layer : Layer or None
            The vision stack; None for text alone.
        decoder_layer : Layer or None
            One decoder layer; None for vision alone.
        num_decoder_layers : int
            How many of them.
        head_layer : Layer or None
            The language model head.
        """
        if num_decoder_layers < 1:
            raise StageError(f"num_decoder_layers is {num_decoder_layers}; at least 1 is needed")
        layers = {"vision": vision_layer, "decoder": decoder_layer, "head": head_layer}
        for name, layer in layers.items():
            if layer is not None and not isinstance(layer, Layer):
                raise StageError(
                    f"{name}_layer is {layer!r}; a layer has get_forward_cost() and "
                    "get_backward_cost()"
                )
        return cls(
            vision_layer=vision_layer,
            prefill_decoder=decoder_layer,
            step_decoder=decoder_layer,
            num_decoder_layers=num_decoder_layers,
            head_layer=head_layer,
            widths=Widths(),
        )

    @classmethod
    def from_config(
        cls,
        config: DeepseekOCRConfig | None = None,
        *,
        views: Views | None = SYMBOLIC,
        reference: str = "vendor",
        execution: str | Executions = Execution.EAGER,
        lm_head: str = "all",
        widths: Widths | None = None,
        routing: Routing | None = None,
        parallel: Parallel = ONE_DEVICE,
    ) -> Self:
        """A model of a configuration, the published one unless given.

        Parameters
        ----------
        views : Views or None
            What the vision tower sees of a page: of any size unless given; None for text alone.
        reference : {"vendor", "transformers"}
            The implementation whose operators are reproduced.
        execution : {"eager", "fused", "ideal"} or Executions
            How operators are grouped into kernels, everywhere or by part; as text also
            "vision=eager,decoder=fused".
        lm_head : {"all", "last"}
            Whether the head runs on all tokens of a prefill, as the references do, or on the last.
        widths : Widths
            Bytes per element; bf16 throughout unless given.
        routing : Routing
            How many distinct experts tokens touch; the expectation unless given.
        parallel : Parallel
            How the model is spread over devices; on one unless given.
        """
        config = published() if config is None else config
        widths = Widths() if widths is None else widths
        routing = Routing() if routing is None else routing
        named = reference_named(reference)
        how = execution if isinstance(execution, Executions) else Executions.parse(execution)
        if lm_head not in ("all", "last"):
            raise InputError(f"lm_head is {lm_head!r}; allowed: all, last")
        last_only = lm_head == "last"
        parallel.require_fit(config.decoder)
        sizes = config.decoder, named
        text = seen = shared_layer(decoder, *sizes, None, parallel, execution=how.decoder)
        exchanged = {
            "decoder": tuple(collectives.of_decoder(config.decoder, parallel)),
            "lm_head": tuple(collectives.of_head(config.decoder, parallel, last_only=last_only)),
        }
        if views is not None:
            seen = shared_layer(decoder, *sizes, views, parallel, execution=how.decoder)
            exchanged["vision"] = tuple(collectives.of_vision(config.decoder, views, parallel))
        return cls(
            vision_layer=None
            if views is None
            else shared_layer(vision, config, named, views, execution=how.vision, parts=PARTS),
            prefill_decoder=seen,
            step_decoder=text,
            num_decoder_layers=1,
            head_layer=shared_layer(
                head, config.decoder, parallel, last_only, execution=how.decoder
            ),
            widths=widths,
            image_tokens=0 if views is None else views.image_tokens,
            decoder_config=config.decoder,
            routing=routing,
            parallel=parallel,
            exchanged=exchanged,
            loaded={
                "configuration": str(config),
                "reference": named.name,
                "execution": str(how),
                "head": "on the last token" if last_only else "on all tokens",
                "page": "none" if views is None else str(views),
                "bytes per element": str(widths),
                "experts": str(routing),
                "devices": "one" if parallel == ONE_DEVICE else str(parallel),
            },
        )

    def __repr__(self) -> str:
        """A line that tells what was loaded."""
        told = (f"{what} {self._loaded[what]}" for what in _TOLD if what in self._loaded)
        return f"<{', '.join([type(self).__name__, *told])}>"

    @property
    def operation_mode(self) -> str | None:
        """The present stage: "vision", "prefill" or "decode"; None before the first one."""
        return None if self._stage is None else self._stage.value

    @property
    def has_vision(self) -> bool:
        """Whether there is a vision stage."""
        return self._vision_layer is not None

    @property
    def batch_size(self) -> Size | None:
        """Sequences in the present stage, on all devices together."""
        return self._batch_size

    def start_vision(self, batch_size: Size = 1) -> None:
        """Enter the vision stage on so many pages. The cache stays as it is."""
        self._require_vision()
        self._batch_size = check_size(batch_size, B)
        self._stage = Stage.VISION

    def start_prefill(
        self, context_len: Size, batch_size: Size, kv_cache: SyntheticKVCache | None = None
    ) -> SyntheticKVCache:
        """Enter the prefill of so many tokens for each sequence, and return the cache after it.

        Parameters
        ----------
        kv_cache : SyntheticKVCache, optional
            What is cached already, for a prefill in pieces; empty unless given.
        """
        self._require_decoder()
        before = SyntheticKVCache(batch_size, 0) if kv_cache is None else kv_cache
        if before.batch_size != batch_size:
            raise StageError(
                f"the cache holds {before.batch_size} sequences, the prefill has {batch_size}; "
                "they must be the same ones"
            )
        if (short := as_expr(context_len) - self._image_tokens).is_number and short < 0:
            raise StageError(
                f"context_len is {context_len}; the image alone takes {self._image_tokens} tokens"
            )
        self._tokens, self._batch_size = check_size(context_len, S), check_size(batch_size, B)
        self._before = before
        self._cache = before.appended(context_len)
        self._stage = Stage.PREFILL
        return self._cache

    def start_decode(self, kv_cache: SyntheticKVCache | None = None) -> SyntheticKVCache:
        """Enter decoding on a cache, the one of the last prefill unless another is given."""
        self._require_decoder()
        cache = self._cache if kv_cache is None else kv_cache
        if not isinstance(cache, SyntheticKVCache):
            raise StageError(
                "decode needs a KV cache: call start_prefill first, or pass "
                "kv_cache=SyntheticKVCache(batch_size, length)"
            )
        self._batch_size = cache.batch_size
        self._cache = cache
        self._stage = Stage.DECODE
        return cache

    def decode_one_token(self) -> SyntheticKVCache:
        """Decode one token of each sequence and return the cache, one token longer."""
        if self._stage is not Stage.DECODE or self._cache is None:
            raise StageError("decode_one_token needs the decode stage: call start_decode first")
        self._cache = self._cache.appended(1)
        return self._cache

    @property
    def touched_experts(self) -> Amount | None:
        """Distinct routed experts that a layer reads in the present stage; None without any."""
        found = self._bindings.get(U)
        return None if found is None else simplest(found)

    def get_forward_cost(self) -> StageCost:
        """The cost of the present stage; in decode, that of the next token of each sequence."""
        return self._cost(
            {part: layer.get_forward_cost() for part, layer in self._running().items()}
        )

    def get_backward_cost(self) -> StageCost:
        """The cost of the gradients of the present stage, which go from the last part to the first.

        While they go through a part, all that parts before it have saved is live.

        Raises
        ------
        InputError
            The model is spread over devices.
        """
        if self._parallel != ONE_DEVICE:
            raise InputError(
                f"parallel is {self._parallel}; a backward pass is stated for one device only"
            )
        parts: dict[str, Cost] = {}
        saved: Expr = ZERO
        for part, layer in self._running().items():
            parts[part] = layer.get_backward_cost().beside(saved)
            saved += layer.saved_bytes if isinstance(layer, GraphLayer) else ZERO
        return self._cost(parts)

    def collectives(self) -> tuple[Collective, ...]:
        """What a device exchanges with others in the present stage; nothing where it is alone.

        In decode it is what the next token of each sequence takes.
        """
        return tuple(
            replace(exchange, bytes=self._bound_amount(exchange.path, exchange.bytes))
            for part in self._running()
            for exchange in self._exchanged.get(part, ())
        )

    def _bound_amount(self, path: str, amount: Amount) -> Amount:
        own = as_rational(amount).xreplace(self._widths.of_part(path))
        return simplest(own.xreplace({s: as_rational(v) for s, v in self._bindings.items()}))

    @property
    def graphs(self) -> dict[str, Graph]:
        """The graphs of the present stage by part; layers known by their figures have none."""
        layers = self._running()
        return {part: x.graph for part, x in layers.items() if isinstance(x, GraphLayer)}

    @property
    def parameters(self) -> Amount | None:
        """Parameters that a device holds; None where a layer is known by its figures only."""
        weights: dict[str, Tensor] = {}
        for layer in (self._vision_layer, self._prefill_decoder, self._head_layer):
            if isinstance(layer, GraphLayer):
                weights |= layer.graph.weights
            elif layer is not None:
                return None
        return simplest(sp.Add(*map(held, weights.values())).xreplace({w_w: sp.Integer(1)}))

    def sheet(self) -> Sheet:
        """What notebooks show: what was loaded, and what each stage costs for all sizes."""
        rows: list[tuple[Cell, ...]] = [*self._loaded.items()]
        if self.parameters is not None:
            rows.append(("parameters", cell(self.parameters)))
        stage = "none yet" if self._stage is None else f"{self._stage}, batch {self._batch_size}"
        columns = ("stage", "operators", "FLOPs", "weights", "KV cache")
        stages = [
            (
                name,
                str(len(cost.paths)),
                cell(cost.flops),
                cell(cost.weight_bytes, "B"),
                cell(cost.kv_bytes, "B"),
            )
            for name, cost in self._stages()
        ]
        return Sheet(
            type(self).__name__,
            [Table(("", ""), [*rows, ("present stage", stage)]), Table(columns, stages)],
        )

    def _stages(self) -> Iterator[tuple[str, StageCost]]:
        """The cost of every stage in B, S and K, without entering one."""
        model = copy(self)
        if self._vision_layer is not None:
            model.start_vision(B)
            yield Stage.VISION, model.get_forward_cost()
        if self._step_decoder is not None:
            model.start_prefill(S, B)
            yield Stage.PREFILL, model.get_forward_cost()
            model.start_decode(SyntheticKVCache(B, K))
            yield Stage.DECODE, model.get_forward_cost()

    def _running(self) -> dict[str, Layer]:
        """What runs in the present stage, by part."""
        if self._stage is None:
            raise StageError("no stage: call start_vision, start_prefill or start_decode first")
        if self._stage is Stage.VISION:
            return {"vision": self._require_vision()}
        layers: dict[str, Layer] = {}
        prefill = self._stage is Stage.PREFILL
        if prefill and self._vision_layer is not None:
            layers["vision"] = self._vision_layer
        layer = self._prefill_decoder if prefill else self._step_decoder
        layers["decoder"] = layer or self._require_decoder()
        if self._head_layer is not None:
            layers["lm_head"] = self._head_layer
        return layers

    def _cost(self, parts: dict[str, Cost]) -> StageCost:
        if "decoder" in parts:
            parts["decoder"] = self._num_decoder_layers * parts["decoder"]
        sizes = self._bindings
        of_vision = sizes | {B: self._parallel.pages(self._batch)}
        bound = {
            part: self._bound(cost, of_vision if part == "vision" else sizes)
            for part, cost in parts.items()
        }
        if self._stage is Stage.VISION:
            return StageCost(bound["vision"].entries, bound["vision"].parts)
        return StageCost.together(**bound)

    def _bound(self, cost: Cost, bindings: Mapping[sp.Symbol, Number | Expr]) -> Cost:
        if self._widths.parts:
            cost = cost.each(
                lambda entry: entry.of(entry.amount.xreplace(self._widths.of_part(entry.path)))
            )
        return cost.bind(bindings)

    @property
    def _batch(self) -> Size:
        return 1 if self._batch_size is None else self._batch_size

    @property
    def _bindings(self) -> dict[sp.Symbol, Number | Expr]:
        sizes: dict[sp.Symbol, Number | Expr] = {B: self._parallel.sequences(self._batch)}
        if self._stage is Stage.PREFILL:
            sizes |= {S: self._tokens, K: self._before.length}
            sizes |= self._experts(as_expr(sizes[B]) * self._tokens)
        elif self._stage is Stage.DECODE and self._cache is not None:
            sizes |= {S: 1, K: self._cache.length}
            sizes |= self._experts(as_expr(sizes[B]))
        return sizes | self._widths.bindings

    def _experts(self, tokens: Expr) -> dict[sp.Symbol, Number | Expr]:
        """The distinct experts of a layer that the tokens of the call touch."""
        if self._decoder_config is None:
            return {}
        assumed = self._routing.prefill if self._stage is Stage.PREFILL else self._routing.decode
        return {U: touched(assumed, tokens, self._decoder_config, self._parallel)}

    def _require_vision(self) -> Layer:
        if self._vision_layer is None:
            raise StageError(
                "the vision stage needs a vision layer: give vision_layer to from_layers, or views "
                "to from_config"
            )
        return self._vision_layer

    def _require_decoder(self) -> Layer:
        if self._step_decoder is None:
            raise StageError("prefill and decode need a decoder: give decoder_layer to from_layers")
        return self._step_decoder


def get_vision_cost(model: DeepseekOCRModel) -> StageCost:
    """The cost of the vision stage, at the model's batch size or for one page."""
    model.start_vision(batch_size=1 if model.batch_size is None else model.batch_size)
    return model.get_forward_cost()


def get_prefill_cost(model: DeepseekOCRModel, *, context_len: Size, batch_size: Size) -> StageCost:
    """The cost of a prefill, vision included."""
    model.start_prefill(context_len=context_len, batch_size=batch_size)
    return model.get_forward_cost()


def get_generation_cost(
    model: DeepseekOCRModel, *, context_len: Size, batch_size: Size, new_tokens: Size
) -> SequenceCost:
    """The cost of whole answers: a prefill and so many decode steps behind it, without a loop."""
    check_size(new_tokens, T)
    prefill = get_prefill_cost(model, context_len=context_len, batch_size=batch_size)
    model.start_decode(SyntheticKVCache(batch_size, K))
    steps = over_tokens(model.get_forward_cost(), new_tokens).bind({K: context_len})
    model.start_decode(SyntheticKVCache(batch_size, context_len + as_expr(new_tokens)))
    return SequenceCost.together(prefill=prefill, decode=steps)


def get_decode_cost_per_token(model: DeepseekOCRModel) -> StageCost:
    """The cost of decoding the next token of each sequence."""
    if model.operation_mode != Stage.DECODE:
        model.start_decode(kv_cache=None)
    return model.get_forward_cost()
