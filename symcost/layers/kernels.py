"""The kernels of serving engines: which operators each holds, and where such a kernel is found.

A layer runs the operators of one at `scope.fused(KERNEL)`. What they pass to each other inside
does not cross memory under the execution `fused`; under `eager` every operator is by itself.
"""

from __future__ import annotations

from symcost.graph import Fusion

FLASH_ATTENTION = Fusion(
    "flash_attention",
    "scores, scaling, softmax and the mix of values; queries, keys and values are read where they "
    "lie, new keys and values go behind those in the cache",
    "Dao et al., FlashAttention (arXiv:2205.14135); Dao-AILab/flash-attention, "
    "flash_attn_with_kvcache",
)
BIASED_FLASH_ATTENTION = Fusion(
    "biased_flash_attention",
    "flash attention that adds to each score its row and its column of relative positions, read by "
    "number",
    "Dong et al., FlexAttention (arXiv:2412.05496); torch.nn.attention.flex_attention, score_mod",
)
LINEAR_WITH_ACTIVATION = Fusion(
    "linear_with_activation",
    "a product with bias and activation in its epilogue",
    "NVIDIA/cutlass, epilogue/thread/linear_combination_generic.h",
)
LINEAR_WITH_RESIDUAL = Fusion(
    "linear_with_residual",
    "a product whose epilogue adds the bias and what runs past it: the residual stream, and beside "
    "shared experts the routed ones",
    "NVIDIA/cutlass, epilogue visitor trees (include/cutlass/epilogue/fusion)",
)
GATED_LINEAR = Fusion(
    "gated_linear",
    "gate and up projection of the same rows, the activation and their product",
    "NVIDIA/cutlass, examples/45_dual_gemm",
)
RMS_NORM = Fusion(
    "rms_norm",
    "the whole norm of a row",
    "vllm-project/vllm, csrc/layernorm_kernels.cu, rms_norm",
)
ADD_RMS_NORM = Fusion(
    "add_rms_norm",
    "the sum with the residual stream, and the norm of it",
    "vllm-project/vllm, csrc/layernorm_kernels.cu, fused_add_rms_norm",
)
ADD_LAYER_NORM = Fusion(
    "add_layer_norm",
    "the sum with the residual stream, and the norm of it",
    "Dao-AILab/flash-attention, csrc/layer_norm",
)
ROTARY = Fusion(
    "rotary",
    "the rotation of queries and of keys",
    "vllm-project/vllm, csrc/pos_encoding_kernels.cu, rotary_embedding",
)
ROUTER_LOGITS = Fusion(
    "router_logits",
    "the product of rows and weights as they are stored, summed up and written in float32",
    "NVIDIA cuBLAS, cublasGemmEx with operands in bfloat16 and a result in float32",
)
ROUTER_CHOICE = Fusion(
    "router_choice",
    "softmax over the experts, the best ones and their weights",
    "vllm-project/vllm, csrc/moe/topk_softmax_kernels.cu",
)
EXPERTS_GATE_AND_UP = Fusion(
    "experts_gate_and_up",
    "each expert's rows read in place, gate and up projection, the activation and their product",
    "NVIDIA/TensorRT-LLM, cutlass_kernels/moe_gemm, gated activation in the epilogue",
)
EXPERTS_DOWN = Fusion(
    "experts_down",
    "the down projection, the routing weights and the sum over a token's experts",
    "NVIDIA/TensorRT-LLM, cutlass_kernels/moe_gemm, fused finalize in the epilogue",
)
ROTARY_TABLES = Fusion(
    "rotary_tables",
    "angles, cosines and sines of all positions",
    "pytorch/pytorch, torch/_inductor: a chain of pointwise operators is one kernel",
)
WINDOW_PARTITION = Fusion(
    "window_partition",
    "padding and the new order of memory",
    "pytorch/pytorch, torch/_inductor: a chain of pointwise operators is one kernel",
)
WINDOW_UNPARTITION = Fusion(
    "window_unpartition",
    "the old order of memory, without the padding",
    "pytorch/pytorch, torch/_inductor: a chain of pointwise operators is one kernel",
)

FUSIONS: tuple[Fusion, ...] = tuple(x for x in list(globals().values()) if isinstance(x, Fusion))
"""Every kernel of this file, in its order."""
