/*
 * What deepseek-ocr costs, by stage; written by symcost 0.1.0.
 * All figures are exact, for reference vendor; execution eager; head on all tokens; widths
 * weights=2,activations=2,kv=2; experts expected, their bytes rounded to whole weights.
 * Every function checks the sizes that it takes, and computes with 64-bit integers. It returns 0
 * and sets all figures, or says why not and sets none. It is exact wherever the figures, and the
 * sums of products that they are made of, fit into 64 bits, and returns DEEPSEEK_OCR_OVERFLOW
 * elsewhere.
 */
#ifndef DEEPSEEK_OCR_H
#define DEEPSEEK_OCR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct deepseek_ocr_sizes {
    /* batch: sequences in the call, one page image each [sequences]; a positive integer */
    int64_t B;
    /* tokens that the decoder gets per sequence in this call [tokens]; a positive integer */
    int64_t S;
    /* tokens per sequence that are cached already [tokens]; a non-negative integer */
    int64_t K;
    /* tokens to generate per sequence [tokens]; a positive integer */
    int64_t T;
    /* side of the global view (base_size) [pixels]; a positive multiple of 64 */
    int64_t I_g;
    /* side of a tile (image_size) [pixels]; a positive multiple of 64 */
    int64_t I_t;
    /* columns of the crop grid; 0 without crops [tiles]; a non-negative integer */
    int64_t n_w;
    /* rows of the crop grid; 0 without crops [tiles]; a non-negative integer */
    int64_t n_h;
};

enum deepseek_ocr_status {
    DEEPSEEK_OCR_OK = 0,
    /* A figure, or a number on the way to it, is beyond 64 bits. */
    DEEPSEEK_OCR_OVERFLOW = 1,
    /* B is no positive integer. */
    DEEPSEEK_OCR_BAD_B = 2,
    /* S is no positive integer. */
    DEEPSEEK_OCR_BAD_S = 3,
    /* K is no non-negative integer. */
    DEEPSEEK_OCR_BAD_K = 4,
    /* T is no positive integer. */
    DEEPSEEK_OCR_BAD_T = 5,
    /* I_g is no positive multiple of 64. */
    DEEPSEEK_OCR_BAD_I_g = 6,
    /* I_t is no positive multiple of 64. */
    DEEPSEEK_OCR_BAD_I_t = 7,
    /* n_w is no non-negative integer. */
    DEEPSEEK_OCR_BAD_n_w = 8,
    /* n_h is no non-negative integer. */
    DEEPSEEK_OCR_BAD_n_h = 9,
};

struct deepseek_ocr_vision_figures {
    int64_t flops; /* FLOPs */
    int64_t matrix_flops; /* FLOPs of the matrix engine, 2 per multiply-accumulate */
    int64_t vector_flops; /* FLOPs of everything else, at the documented cost per element */
    int64_t bytes_read; /* bytes that kernels read */
    int64_t bytes_written; /* bytes that kernels write */
    int64_t bytes_moved; /* bytes that kernels read and write */
    int64_t weight_bytes; /* bytes of resident weights */
    int64_t activation_bytes; /* peak bytes of live activations */
    int64_t kv_bytes; /* bytes of the KV cache after the stage */
    int64_t resident_bytes; /* bytes of weights, cache, gradients and peak activations together */
    int64_t sam_flops; /* sam: FLOPs */
    int64_t sam_matrix_flops; /* sam: FLOPs of the matrix engine, 2 per multiply-accumulate */
    /* sam: FLOPs of everything else, at the documented cost per element */
    int64_t sam_vector_flops;
    int64_t sam_bytes_read; /* sam: bytes that kernels read */
    int64_t sam_bytes_written; /* sam: bytes that kernels write */
    int64_t sam_bytes_moved; /* sam: bytes that kernels read and write */
    int64_t sam_weight_bytes; /* sam: bytes of resident weights */
    int64_t sam_activation_bytes; /* sam: peak bytes of live activations */
    int64_t sam_kv_bytes; /* sam: bytes of the KV cache after the stage */
    /* sam: bytes of weights, cache, gradients and peak activations together */
    int64_t sam_resident_bytes;
    int64_t clip_flops; /* clip: FLOPs */
    int64_t clip_matrix_flops; /* clip: FLOPs of the matrix engine, 2 per multiply-accumulate */
    /* clip: FLOPs of everything else, at the documented cost per element */
    int64_t clip_vector_flops;
    int64_t clip_bytes_read; /* clip: bytes that kernels read */
    int64_t clip_bytes_written; /* clip: bytes that kernels write */
    int64_t clip_bytes_moved; /* clip: bytes that kernels read and write */
    int64_t clip_weight_bytes; /* clip: bytes of resident weights */
    int64_t clip_activation_bytes; /* clip: peak bytes of live activations */
    int64_t clip_kv_bytes; /* clip: bytes of the KV cache after the stage */
    /* clip: bytes of weights, cache, gradients and peak activations together */
    int64_t clip_resident_bytes;
    int64_t projector_flops; /* projector: FLOPs */
    /* projector: FLOPs of the matrix engine, 2 per multiply-accumulate */
    int64_t projector_matrix_flops;
    /* projector: FLOPs of everything else, at the documented cost per element */
    int64_t projector_vector_flops;
    int64_t projector_bytes_read; /* projector: bytes that kernels read */
    int64_t projector_bytes_written; /* projector: bytes that kernels write */
    int64_t projector_bytes_moved; /* projector: bytes that kernels read and write */
    int64_t projector_weight_bytes; /* projector: bytes of resident weights */
    int64_t projector_activation_bytes; /* projector: peak bytes of live activations */
    int64_t projector_kv_bytes; /* projector: bytes of the KV cache after the stage */
    /* projector: bytes of weights, cache, gradients and peak activations together */
    int64_t projector_resident_bytes;
};

/*
 * The vision tower and the projector on all pages of a batch.
 * Takes B, I_g, I_t, n_w, n_h.
 * Nothing overflows where B <= 64, I_g <= 16384, I_t <= 4096, n_w <= 32, n_h <= 32; more is taken
 * as far as it fits.
 */
int deepseek_ocr_vision(
    const struct deepseek_ocr_sizes *sizes,
    struct deepseek_ocr_vision_figures *figures
);

struct deepseek_ocr_prefill_figures {
    int64_t flops; /* FLOPs */
    int64_t matrix_flops; /* FLOPs of the matrix engine, 2 per multiply-accumulate */
    int64_t vector_flops; /* FLOPs of everything else, at the documented cost per element */
    int64_t bytes_read; /* bytes that kernels read */
    int64_t bytes_written; /* bytes that kernels write */
    int64_t bytes_moved; /* bytes that kernels read and write */
    int64_t weight_bytes; /* bytes of resident weights */
    int64_t activation_bytes; /* peak bytes of live activations */
    int64_t kv_bytes; /* bytes of the KV cache after the stage */
    int64_t resident_bytes; /* bytes of weights, cache, gradients and peak activations together */
    int64_t vision_flops; /* vision: FLOPs */
    int64_t vision_matrix_flops; /* vision: FLOPs of the matrix engine, 2 per multiply-accumulate */
    /* vision: FLOPs of everything else, at the documented cost per element */
    int64_t vision_vector_flops;
    int64_t vision_bytes_read; /* vision: bytes that kernels read */
    int64_t vision_bytes_written; /* vision: bytes that kernels write */
    int64_t vision_bytes_moved; /* vision: bytes that kernels read and write */
    int64_t vision_weight_bytes; /* vision: bytes of resident weights */
    int64_t vision_activation_bytes; /* vision: peak bytes of live activations */
    int64_t vision_kv_bytes; /* vision: bytes of the KV cache after the stage */
    /* vision: bytes of weights, cache, gradients and peak activations together */
    int64_t vision_resident_bytes;
    int64_t decoder_flops; /* decoder: FLOPs */
    /* decoder: FLOPs of the matrix engine, 2 per multiply-accumulate */
    int64_t decoder_matrix_flops;
    /* decoder: FLOPs of everything else, at the documented cost per element */
    int64_t decoder_vector_flops;
    int64_t decoder_bytes_read; /* decoder: bytes that kernels read */
    int64_t decoder_bytes_written; /* decoder: bytes that kernels write */
    int64_t decoder_bytes_moved; /* decoder: bytes that kernels read and write */
    int64_t decoder_weight_bytes; /* decoder: bytes of resident weights */
    int64_t decoder_activation_bytes; /* decoder: peak bytes of live activations */
    int64_t decoder_kv_bytes; /* decoder: bytes of the KV cache after the stage */
    /* decoder: bytes of weights, cache, gradients and peak activations together */
    int64_t decoder_resident_bytes;
    int64_t lm_head_flops; /* lm_head: FLOPs */
    /* lm_head: FLOPs of the matrix engine, 2 per multiply-accumulate */
    int64_t lm_head_matrix_flops;
    /* lm_head: FLOPs of everything else, at the documented cost per element */
    int64_t lm_head_vector_flops;
    int64_t lm_head_bytes_read; /* lm_head: bytes that kernels read */
    int64_t lm_head_bytes_written; /* lm_head: bytes that kernels write */
    int64_t lm_head_bytes_moved; /* lm_head: bytes that kernels read and write */
    int64_t lm_head_weight_bytes; /* lm_head: bytes of resident weights */
    int64_t lm_head_activation_bytes; /* lm_head: peak bytes of live activations */
    int64_t lm_head_kv_bytes; /* lm_head: bytes of the KV cache after the stage */
    /* lm_head: bytes of weights, cache, gradients and peak activations together */
    int64_t lm_head_resident_bytes;
};

/*
 * Vision, the decoder on the whole context, and the head; of the S tokens I_g*(I_g/64 + 1)/64 +
 * I_t*n_h*(I_t*n_w/64 + 1)/64 + 1 are the image's.
 * Takes B, S, I_g, I_t, n_w, n_h.
 * Nothing overflows where B <= 64, S <= 524288, I_g <= 16384, I_t <= 4096, n_w <= 32, n_h <= 32;
 * more is taken as far as it fits.
 */
int deepseek_ocr_prefill(
    const struct deepseek_ocr_sizes *sizes,
    struct deepseek_ocr_prefill_figures *figures
);

struct deepseek_ocr_decode_figures {
    int64_t flops; /* FLOPs */
    int64_t matrix_flops; /* FLOPs of the matrix engine, 2 per multiply-accumulate */
    int64_t vector_flops; /* FLOPs of everything else, at the documented cost per element */
    int64_t bytes_read; /* bytes that kernels read */
    int64_t bytes_written; /* bytes that kernels write */
    int64_t bytes_moved; /* bytes that kernels read and write */
    int64_t weight_bytes; /* bytes of resident weights */
    int64_t activation_bytes; /* peak bytes of live activations */
    int64_t kv_bytes; /* bytes of the KV cache after the stage */
    int64_t resident_bytes; /* bytes of weights, cache, gradients and peak activations together */
    int64_t decoder_flops; /* decoder: FLOPs */
    /* decoder: FLOPs of the matrix engine, 2 per multiply-accumulate */
    int64_t decoder_matrix_flops;
    /* decoder: FLOPs of everything else, at the documented cost per element */
    int64_t decoder_vector_flops;
    int64_t decoder_bytes_read; /* decoder: bytes that kernels read */
    int64_t decoder_bytes_written; /* decoder: bytes that kernels write */
    int64_t decoder_bytes_moved; /* decoder: bytes that kernels read and write */
    int64_t decoder_weight_bytes; /* decoder: bytes of resident weights */
    int64_t decoder_activation_bytes; /* decoder: peak bytes of live activations */
    int64_t decoder_kv_bytes; /* decoder: bytes of the KV cache after the stage */
    /* decoder: bytes of weights, cache, gradients and peak activations together */
    int64_t decoder_resident_bytes;
    int64_t lm_head_flops; /* lm_head: FLOPs */
    /* lm_head: FLOPs of the matrix engine, 2 per multiply-accumulate */
    int64_t lm_head_matrix_flops;
    /* lm_head: FLOPs of everything else, at the documented cost per element */
    int64_t lm_head_vector_flops;
    int64_t lm_head_bytes_read; /* lm_head: bytes that kernels read */
    int64_t lm_head_bytes_written; /* lm_head: bytes that kernels write */
    int64_t lm_head_bytes_moved; /* lm_head: bytes that kernels read and write */
    int64_t lm_head_weight_bytes; /* lm_head: bytes of resident weights */
    int64_t lm_head_activation_bytes; /* lm_head: peak bytes of live activations */
    int64_t lm_head_kv_bytes; /* lm_head: bytes of the KV cache after the stage */
    /* lm_head: bytes of weights, cache, gradients and peak activations together */
    int64_t lm_head_resident_bytes;
};

/*
 * T steps behind K cached tokens, together.
 * Takes B, K, T.
 * Nothing overflows where B <= 65536, K <= 32768, T <= 16384; more is taken as far as it fits.
 */
int deepseek_ocr_decode(
    const struct deepseek_ocr_sizes *sizes,
    struct deepseek_ocr_decode_figures *figures
);

#ifdef __cplusplus
}
#endif

#endif
