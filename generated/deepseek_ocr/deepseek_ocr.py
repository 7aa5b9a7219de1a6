"""What deepseek-ocr costs, by stage; written by symcost 0.1.0.

All figures are exact, for reference vendor; execution eager; head on all tokens; widths
weights=2,activations=2,kv=2; experts expected, their bytes rounded to whole weights.
"""

from __future__ import annotations

from typing import NamedTuple

# Entry n of a table is what formulas make of n that raise a fraction to the power of n; beyond its
# last one they do not change.
_TABLE_1 = (
    0, 6881280, 13117440, 18768960, 23890650, 28532182, 32738570, 36550609, 40005269, 43136055,
    45973330, 48544610, 50874833, 52986597, 54900384, 56634753, 58206525, 59630943, 60921822,
    62091681, 63151866, 64112659, 64983377, 65772465, 66487577, 67135646, 67722960, 68255212,
    68737566, 69174699, 69570851, 69929864, 70255219, 70550072, 70817283, 71059443, 71278900,
    71477783, 71658021, 71821361, 71969389, 72103539, 72225112, 72335288, 72435134, 72525621,
    72607624, 72681939, 72749287, 72810321, 72865634, 72915761, 72961188, 73002357, 73039666,
    73073477, 73104119, 73131888, 73157053, 73179859, 73200528, 73219258, 73236233, 73251616,
    73265557, 73278191, 73289640, 73300017, 73309420, 73317942, 73325665, 73332664, 73339007,
    73344755, 73349964, 73354685, 73358963, 73362840, 73366354, 73369538, 73372424, 73375039,
    73377409, 73379557, 73381504, 73383268, 73384866, 73386315, 73387628, 73388818, 73389896,
    73390874, 73391759, 73392562, 73393289, 73393948, 73394546, 73395087, 73395578, 73396022,
    73396425, 73396790, 73397121, 73397421, 73397693, 73397939, 73398162, 73398365, 73398548,
    73398714, 73398865, 73399001, 73399125, 73399237, 73399338, 73399430, 73399514, 73399589,
    73399658, 73399720, 73399776, 73399827, 73399873, 73399915, 73399953, 73399988, 73400019,
    73400047, 73400073, 73400096, 73400117, 73400136, 73400153, 73400169, 73400183, 73400196,
    73400207, 73400218, 73400228, 73400236, 73400244, 73400251, 73400258, 73400263, 73400269,
    73400274, 73400278, 73400282, 73400285, 73400289, 73400292, 73400294, 73400297, 73400299,
    73400301, 73400303, 73400304, 73400306, 73400307, 73400308, 73400309, 73400310, 73400311,
    73400312, 73400313, 73400314, 73400314, 73400315, 73400315, 73400316, 73400316, 73400316,
    73400317, 73400317, 73400317, 73400318, 73400318, 73400318, 73400318, 73400318, 73400319,
    73400319, 73400319, 73400319, 73400319, 73400319, 73400319, 73400319, 73400319, 73400319,
    73400319, 73400319, 73400320, 73400320, 73400320,
)
_TABLE_2 = (
    0, 6, 12, 17, 21, 25, 29, 32, 35, 38, 41, 43, 45, 47, 48, 50, 51, 52, 54, 55, 56, 56, 57, 58,
    58, 59, 60, 60, 60, 61, 61, 61, 62, 62, 62, 62, 63, 63, 63, 63, 63, 63, 63, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64,
)


class VisionFigures(NamedTuple):
    """The vision tower and the projector on all pages of a batch: figures."""

    flops: int
    """FLOPs"""
    matrix_flops: int
    """FLOPs of the matrix engine, 2 per multiply-accumulate"""
    vector_flops: int
    """FLOPs of everything else, at the documented cost per element"""
    bytes_read: int
    """bytes that kernels read"""
    bytes_written: int
    """bytes that kernels write"""
    bytes_moved: int
    """bytes that kernels read and write"""
    weight_bytes: int
    """bytes of resident weights"""
    activation_bytes: int
    """peak bytes of live activations"""
    kv_bytes: int
    """bytes of the KV cache after the stage"""
    resident_bytes: int
    """bytes of weights, cache, gradients and peak activations together"""
    sam_flops: int
    """sam: FLOPs"""
    sam_matrix_flops: int
    """sam: FLOPs of the matrix engine, 2 per multiply-accumulate"""
    sam_vector_flops: int
    """sam: FLOPs of everything else, at the documented cost per element"""
    sam_bytes_read: int
    """sam: bytes that kernels read"""
    sam_bytes_written: int
    """sam: bytes that kernels write"""
    sam_bytes_moved: int
    """sam: bytes that kernels read and write"""
    sam_weight_bytes: int
    """sam: bytes of resident weights"""
    sam_activation_bytes: int
    """sam: peak bytes of live activations"""
    sam_kv_bytes: int
    """sam: bytes of the KV cache after the stage"""
    sam_resident_bytes: int
    """sam: bytes of weights, cache, gradients and peak activations together"""
    clip_flops: int
    """clip: FLOPs"""
    clip_matrix_flops: int
    """clip: FLOPs of the matrix engine, 2 per multiply-accumulate"""
    clip_vector_flops: int
    """clip: FLOPs of everything else, at the documented cost per element"""
    clip_bytes_read: int
    """clip: bytes that kernels read"""
    clip_bytes_written: int
    """clip: bytes that kernels write"""
    clip_bytes_moved: int
    """clip: bytes that kernels read and write"""
    clip_weight_bytes: int
    """clip: bytes of resident weights"""
    clip_activation_bytes: int
    """clip: peak bytes of live activations"""
    clip_kv_bytes: int
    """clip: bytes of the KV cache after the stage"""
    clip_resident_bytes: int
    """clip: bytes of weights, cache, gradients and peak activations together"""
    projector_flops: int
    """projector: FLOPs"""
    projector_matrix_flops: int
    """projector: FLOPs of the matrix engine, 2 per multiply-accumulate"""
    projector_vector_flops: int
    """projector: FLOPs of everything else, at the documented cost per element"""
    projector_bytes_read: int
    """projector: bytes that kernels read"""
    projector_bytes_written: int
    """projector: bytes that kernels write"""
    projector_bytes_moved: int
    """projector: bytes that kernels read and write"""
    projector_weight_bytes: int
    """projector: bytes of resident weights"""
    projector_activation_bytes: int
    """projector: peak bytes of live activations"""
    projector_kv_bytes: int
    """projector: bytes of the KV cache after the stage"""
    projector_resident_bytes: int
    """projector: bytes of weights, cache, gradients and peak activations together"""


class PrefillFigures(NamedTuple):
    """Vision, the decoder on the whole context, and the head; of the S tokens I_g*(I_g/64 + 1)/64 + I_t*n_h*(I_t*n_w/64 + 1)/64 + 1 are the image's: figures."""

    flops: int
    """FLOPs"""
    matrix_flops: int
    """FLOPs of the matrix engine, 2 per multiply-accumulate"""
    vector_flops: int
    """FLOPs of everything else, at the documented cost per element"""
    bytes_read: int
    """bytes that kernels read"""
    bytes_written: int
    """bytes that kernels write"""
    bytes_moved: int
    """bytes that kernels read and write"""
    weight_bytes: int
    """bytes of resident weights"""
    activation_bytes: int
    """peak bytes of live activations"""
    kv_bytes: int
    """bytes of the KV cache after the stage"""
    resident_bytes: int
    """bytes of weights, cache, gradients and peak activations together"""
    vision_flops: int
    """vision: FLOPs"""
    vision_matrix_flops: int
    """vision: FLOPs of the matrix engine, 2 per multiply-accumulate"""
    vision_vector_flops: int
    """vision: FLOPs of everything else, at the documented cost per element"""
    vision_bytes_read: int
    """vision: bytes that kernels read"""
    vision_bytes_written: int
    """vision: bytes that kernels write"""
    vision_bytes_moved: int
    """vision: bytes that kernels read and write"""
    vision_weight_bytes: int
    """vision: bytes of resident weights"""
    vision_activation_bytes: int
    """vision: peak bytes of live activations"""
    vision_kv_bytes: int
    """vision: bytes of the KV cache after the stage"""
    vision_resident_bytes: int
    """vision: bytes of weights, cache, gradients and peak activations together"""
    decoder_flops: int
    """decoder: FLOPs"""
    decoder_matrix_flops: int
    """decoder: FLOPs of the matrix engine, 2 per multiply-accumulate"""
    decoder_vector_flops: int
    """decoder: FLOPs of everything else, at the documented cost per element"""
    decoder_bytes_read: int
    """decoder: bytes that kernels read"""
    decoder_bytes_written: int
    """decoder: bytes that kernels write"""
    decoder_bytes_moved: int
    """decoder: bytes that kernels read and write"""
    decoder_weight_bytes: int
    """decoder: bytes of resident weights"""
    decoder_activation_bytes: int
    """decoder: peak bytes of live activations"""
    decoder_kv_bytes: int
    """decoder: bytes of the KV cache after the stage"""
    decoder_resident_bytes: int
    """decoder: bytes of weights, cache, gradients and peak activations together"""
    lm_head_flops: int
    """lm_head: FLOPs"""
    lm_head_matrix_flops: int
    """lm_head: FLOPs of the matrix engine, 2 per multiply-accumulate"""
    lm_head_vector_flops: int
    """lm_head: FLOPs of everything else, at the documented cost per element"""
    lm_head_bytes_read: int
    """lm_head: bytes that kernels read"""
    lm_head_bytes_written: int
    """lm_head: bytes that kernels write"""
    lm_head_bytes_moved: int
    """lm_head: bytes that kernels read and write"""
    lm_head_weight_bytes: int
    """lm_head: bytes of resident weights"""
    lm_head_activation_bytes: int
    """lm_head: peak bytes of live activations"""
    lm_head_kv_bytes: int
    """lm_head: bytes of the KV cache after the stage"""
    lm_head_resident_bytes: int
    """lm_head: bytes of weights, cache, gradients and peak activations together"""


class DecodeFigures(NamedTuple):
    """T steps behind K cached tokens, together: figures."""

    flops: int
    """FLOPs"""
    matrix_flops: int
    """FLOPs of the matrix engine, 2 per multiply-accumulate"""
    vector_flops: int
    """FLOPs of everything else, at the documented cost per element"""
    bytes_read: int
    """bytes that kernels read"""
    bytes_written: int
    """bytes that kernels write"""
    bytes_moved: int
    """bytes that kernels read and write"""
    weight_bytes: int
    """bytes of resident weights"""
    activation_bytes: int
    """peak bytes of live activations"""
    kv_bytes: int
    """bytes of the KV cache after the stage"""
    resident_bytes: int
    """bytes of weights, cache, gradients and peak activations together"""
    decoder_flops: int
    """decoder: FLOPs"""
    decoder_matrix_flops: int
    """decoder: FLOPs of the matrix engine, 2 per multiply-accumulate"""
    decoder_vector_flops: int
    """decoder: FLOPs of everything else, at the documented cost per element"""
    decoder_bytes_read: int
    """decoder: bytes that kernels read"""
    decoder_bytes_written: int
    """decoder: bytes that kernels write"""
    decoder_bytes_moved: int
    """decoder: bytes that kernels read and write"""
    decoder_weight_bytes: int
    """decoder: bytes of resident weights"""
    decoder_activation_bytes: int
    """decoder: peak bytes of live activations"""
    decoder_kv_bytes: int
    """decoder: bytes of the KV cache after the stage"""
    decoder_resident_bytes: int
    """decoder: bytes of weights, cache, gradients and peak activations together"""
    lm_head_flops: int
    """lm_head: FLOPs"""
    lm_head_matrix_flops: int
    """lm_head: FLOPs of the matrix engine, 2 per multiply-accumulate"""
    lm_head_vector_flops: int
    """lm_head: FLOPs of everything else, at the documented cost per element"""
    lm_head_bytes_read: int
    """lm_head: bytes that kernels read"""
    lm_head_bytes_written: int
    """lm_head: bytes that kernels write"""
    lm_head_bytes_moved: int
    """lm_head: bytes that kernels read and write"""
    lm_head_weight_bytes: int
    """lm_head: bytes of resident weights"""
    lm_head_activation_bytes: int
    """lm_head: peak bytes of live activations"""
    lm_head_kv_bytes: int
    """lm_head: bytes of the KV cache after the stage"""
    lm_head_resident_bytes: int
    """lm_head: bytes of weights, cache, gradients and peak activations together"""


def vision(*, B: int, I_g: int, I_t: int, n_w: int, n_h: int) -> VisionFigures:
    """The vision tower and the projector on all pages of a batch.

    Parameters
    ----------
    B : int
        batch: sequences in the call, one page image each [sequences]; a positive integer
    I_g : int
        side of the global view (base_size) [pixels]; a positive multiple of 64
    I_t : int
        side of a tile (image_size) [pixels]; a positive multiple of 64
    n_w : int
        columns of the crop grid; 0 without crops [tiles]; a non-negative integer
    n_h : int
        rows of the crop grid; 0 without crops [tiles]; a non-negative integer

    Raises
    ------
    ValueError
        A size lies outside its domain; the message names it.
    """
    _check("B", B, 1, 1, "batch: sequences in the call, one page image each")
    _check("I_g", I_g, 1, 64, "side of the global view (base_size)")
    _check("I_t", I_t, 1, 64, "side of a tile (image_size)")
    _check("n_w", n_w, 0, 1, "columns of the crop grid; 0 without crops")
    _check("n_h", n_h, 0, 1, "rows of the crop grid; 0 without crops")

    q = I_g // 64
    distance_I_g = abs(64 * q - 1024)
    differs_I_g = min(1, distance_I_g)
    C = n_h * n_w
    any_n_w_n_h = min(1, C)
    q2 = q * q
    q_differs_I_g = q * differs_I_g
    q_t = I_t // 64
    qt_any_n_w_n_h = any_n_w_n_h * q_t
    distance_I_t = abs(64 * q_t - 1024)
    differs_I_t = min(1, distance_I_t)
    any_n_w_n_h_differs_I_t = any_n_w_n_h * differs_I_t
    B_q2 = q2 * B
    rounded_I_g = (2 * q + 6) // 7
    B_rounded_I_g2 = B * rounded_I_g * rounded_I_g
    B_C = C * B
    q2_differs_I_g = q2 * differs_I_g
    qt2_any_n_w_n_h = qt_any_n_w_n_h * q_t
    qt_any_n_w_n_h_differs_I_t = qt_any_n_w_n_h * differs_I_t
    B_q3 = B_q2 * q
    qt2_any_n_w_n_h_differs_I_t = qt2_any_n_w_n_h * differs_I_t
    B_q4 = B_q3 * q
    B_qt2_C = B_C * q_t * q_t
    rounded_I_t = (2 * q_t + 6) // 7
    B_C_rounded_I_t2 = B_C * rounded_I_t * rounded_I_t
    B_qt3_C = B_qt2_C * q_t
    B_qt4_C = B_qt3_C * q_t

    sam_matrix_flops = (
        3145728 * B_qt4_C + 786432 * B_qt3_C + 3145728 * B_q4 + 2176843776 * B_qt2_C +
        8410300416 * B_C_rounded_I_t2 + 786432 * B_q3 + 2176843776 * B_q2 +
        8410300416 * B_rounded_I_g2
    )
    sam_vector_flops = (
        86016 * B_qt4_C + 86016 * B_q4 + 6373376 * B_qt2_C + 31836672 * B_C_rounded_I_t2 +
        393216 * qt2_any_n_w_n_h_differs_I_t + 6373376 * B_q2 + 31836672 * B_rounded_I_g2 +
        393216 * q2_differs_I_g + 16384 * qt_any_n_w_n_h_differs_I_t + 16384 * q_differs_I_g -
        2048 * any_n_w_n_h_differs_I_t - 2048 * differs_I_g
    )
    sam_bytes_read = (
        221184 * B_qt4_C + 12288 * B_qt3_C + 221184 * B_q4 + 6205440 * B_qt2_C +
        103563264 * B_C_rounded_I_t2 + 12288 * B_q3 + 73728 * qt2_any_n_w_n_h_differs_I_t +
        6205440 * B_q2 + 103563264 * B_rounded_I_g2 + 73728 * q2_differs_I_g +
        18432 * qt2_any_n_w_n_h + 8192 * qt_any_n_w_n_h_differs_I_t + 18432 * q2 +
        8192 * q_differs_I_g + 768 * qt_any_n_w_n_h + 12581888 * any_n_w_n_h_differs_I_t + 768 * q +
        12581888 * differs_I_g + 191595264 * any_n_w_n_h + 191595264
    )
    sam_bytes_written = (
        221184 * B_qt4_C + 12288 * B_qt3_C + 221184 * B_q4 + 5203200 * B_qt2_C +
        101154816 * B_C_rounded_I_t2 + 12288 * B_q3 + 73728 * qt2_any_n_w_n_h_differs_I_t +
        5203200 * B_q2 + 101154816 * B_rounded_I_g2 + 73728 * q2_differs_I_g +
        18432 * qt2_any_n_w_n_h + 8192 * qt_any_n_w_n_h_differs_I_t + 18432 * q2 +
        8192 * q_differs_I_g + 768 * qt_any_n_w_n_h + 12581888 * any_n_w_n_h_differs_I_t + 768 * q +
        12581888 * differs_I_g + 456960 * any_n_w_n_h + 456960
    )
    sam_weight_bytes = 191138304
    sam_activation_bytes = max(
        36864 * B_q4 + 24576 * B_qt2_C + 221184 * B_q2,
        36864 * B_qt4_C + 221184 * B_qt2_C + 31232 * B_q2,
        24576 * B_qt2_C + 49152 * B_q2 + 7639296 * B_rounded_I_g2,
        49152 * B_qt2_C + 7639296 * B_C_rounded_I_t2 + 31232 * B_q2
    )
    sam_kv_bytes = 0
    clip_matrix_flops = (
        98304 * B_qt4_C + 98304 * B_q4 + 604176384 * B_qt2_C + 604176384 * B_q2 + 604078080 * B_C +
        604078080 * B
    )
    clip_vector_flops = (
        2304 * B_qt4_C + 2304 * B_q4 + 1217024 * B_qt2_C + 32768 * qt2_any_n_w_n_h_differs_I_t +
        1217024 * B_q2 + 1214720 * B_C + 32768 * q2_differs_I_g + 1214720 * B
    )
    clip_bytes_read = (
        5376 * B_qt4_C + 5376 * B_q4 + 1888768 * B_qt2_C + 6144 * qt2_any_n_w_n_h_differs_I_t +
        1888768 * B_q2 + 1877248 * B_C + 6144 * q2_differs_I_g + 2048 * qt2_any_n_w_n_h + 2048 * q2
        + 1048576 * any_n_w_n_h_differs_I_t + 1877248 * B + 1048576 * differs_I_g +
        605153280 * any_n_w_n_h + 605153280
    )
    clip_bytes_written = (
        5376 * B_qt4_C + 5376 * B_q4 + 1495944 * B_qt2_C + 6144 * qt2_any_n_w_n_h_differs_I_t +
        1495944 * B_q2 + 1486472 * B_C + 6144 * q2_differs_I_g + 2048 * qt2_any_n_w_n_h + 2048 * q2
        + 1048576 * any_n_w_n_h_differs_I_t + 1486472 * B + 1048576 * differs_I_g +
        2048 * any_n_w_n_h + 2048
    )
    clip_weight_bytes = 606355456
    clip_activation_bytes = max(
        32 * B_q4 + 24576 * B_qt2_C + 57408 * B_q2 + 30752 * B,
        160 * B_q4 + 24576 * B_qt2_C + 39232 * B_q2 + 12448 * B,
        32 * B_qt4_C + 57408 * B_qt2_C + 31232 * B_q2 + 30752 * B_C,
        160 * B_qt4_C + 39232 * B_qt2_C + 31232 * B_q2 + 12448 * B_C
    )
    clip_kv_bytes = 0
    projector_matrix_flops = 5242880 * B_qt2_C + 5242880 * B_q2
    projector_vector_flops = 1280 * B_qt2_C + 1280 * B_q2
    projector_bytes_read = 4096 * B_qt2_C + 4096 * B_q2 + 5245440 * any_n_w_n_h + 5245440
    projector_bytes_written = 2560 * B_qt2_C + 2560 * B_q2
    projector_weight_bytes = 5245440
    projector_activation_bytes = 31232 * B_qt2_C + 31232 * B_q2
    projector_kv_bytes = 0
    sam_flops = sam_matrix_flops + sam_vector_flops
    sam_bytes_moved = sam_bytes_read + sam_bytes_written
    sam_resident_bytes = sam_activation_bytes + sam_weight_bytes
    clip_flops = clip_matrix_flops + clip_vector_flops
    clip_bytes_moved = clip_bytes_read + clip_bytes_written
    clip_resident_bytes = clip_activation_bytes + clip_weight_bytes
    projector_flops = projector_matrix_flops + projector_vector_flops
    projector_bytes_moved = projector_bytes_read + projector_bytes_written
    projector_resident_bytes = projector_weight_bytes + projector_activation_bytes
    matrix_flops = sam_matrix_flops + clip_matrix_flops + projector_matrix_flops
    vector_flops = sam_vector_flops + clip_vector_flops + projector_vector_flops
    bytes_read = sam_bytes_read + clip_bytes_read + projector_bytes_read
    bytes_written = sam_bytes_written + clip_bytes_written + projector_bytes_written
    weight_bytes = sam_weight_bytes + clip_weight_bytes + projector_weight_bytes
    activation_bytes = sam_activation_bytes
    kv_bytes = 0
    flops = matrix_flops + vector_flops
    bytes_moved = bytes_read + bytes_written
    resident_bytes = activation_bytes + weight_bytes

    return VisionFigures(
        flops=flops,
        matrix_flops=matrix_flops,
        vector_flops=vector_flops,
        bytes_read=bytes_read,
        bytes_written=bytes_written,
        bytes_moved=bytes_moved,
        weight_bytes=weight_bytes,
        activation_bytes=activation_bytes,
        kv_bytes=kv_bytes,
        resident_bytes=resident_bytes,
        sam_flops=sam_flops,
        sam_matrix_flops=sam_matrix_flops,
        sam_vector_flops=sam_vector_flops,
        sam_bytes_read=sam_bytes_read,
        sam_bytes_written=sam_bytes_written,
        sam_bytes_moved=sam_bytes_moved,
        sam_weight_bytes=sam_weight_bytes,
        sam_activation_bytes=sam_activation_bytes,
        sam_kv_bytes=sam_kv_bytes,
        sam_resident_bytes=sam_resident_bytes,
        clip_flops=clip_flops,
        clip_matrix_flops=clip_matrix_flops,
        clip_vector_flops=clip_vector_flops,
        clip_bytes_read=clip_bytes_read,
        clip_bytes_written=clip_bytes_written,
        clip_bytes_moved=clip_bytes_moved,
        clip_weight_bytes=clip_weight_bytes,
        clip_activation_bytes=clip_activation_bytes,
        clip_kv_bytes=clip_kv_bytes,
        clip_resident_bytes=clip_resident_bytes,
        projector_flops=projector_flops,
        projector_matrix_flops=projector_matrix_flops,
        projector_vector_flops=projector_vector_flops,
        projector_bytes_read=projector_bytes_read,
        projector_bytes_written=projector_bytes_written,
        projector_bytes_moved=projector_bytes_moved,
        projector_weight_bytes=projector_weight_bytes,
        projector_activation_bytes=projector_activation_bytes,
        projector_kv_bytes=projector_kv_bytes,
        projector_resident_bytes=projector_resident_bytes,
    )


def prefill(*, B: int, S: int, I_g: int, I_t: int, n_w: int, n_h: int) -> PrefillFigures:
    """Vision, the decoder on the whole context, and the head; of the S tokens I_g*(I_g/64 + 1)/64 + I_t*n_h*(I_t*n_w/64 + 1)/64 + 1 are the image's.

    Parameters
    ----------
    B : int
        batch: sequences in the call, one page image each [sequences]; a positive integer
    S : int
        tokens that the decoder gets per sequence in this call [tokens]; a positive integer
    I_g : int
        side of the global view (base_size) [pixels]; a positive multiple of 64
    I_t : int
        side of a tile (image_size) [pixels]; a positive multiple of 64
    n_w : int
        columns of the crop grid; 0 without crops [tiles]; a non-negative integer
    n_h : int
        rows of the crop grid; 0 without crops [tiles]; a non-negative integer

    Raises
    ------
    ValueError
        A size lies outside its domain; the message names it.
    """
    _check("B", B, 1, 1, "batch: sequences in the call, one page image each")
    _check("S", S, 1, 1, "tokens that the decoder gets per sequence in this call")
    _check("I_g", I_g, 1, 64, "side of the global view (base_size)")
    _check("I_t", I_t, 1, 64, "side of a tile (image_size)")
    _check("n_w", n_w, 0, 1, "columns of the crop grid; 0 without crops")
    _check("n_h", n_h, 0, 1, "rows of the crop grid; 0 without crops")

    q = I_g // 64
    distance_I_g = abs(64 * q - 1024)
    differs_I_g = min(1, distance_I_g)
    C = n_h * n_w
    any_n_w_n_h = min(1, C)
    B_S = B * S
    least_B_S = min(194, B_S)
    table_1_B_S = _TABLE_1[least_B_S]
    table_2_B_S = _TABLE_2[least_B_S]
    B_q = B * q
    q2 = q * q
    q_differs_I_g = q * differs_I_g
    q_t = I_t // 64
    qt_any_n_w_n_h = any_n_w_n_h * q_t
    distance_I_t = abs(64 * q_t - 1024)
    differs_I_t = min(1, distance_I_t)
    any_n_w_n_h_differs_I_t = any_n_w_n_h * differs_I_t
    B_q2 = B_q * q
    rounded_I_g = (2 * q + 6) // 7
    B_rounded_I_g2 = B * rounded_I_g * rounded_I_g
    B_qt_nh = B * q_t * n_h
    B_C = C * B
    B_S2 = B_S * S
    B_S_table_2_B_S = B_S * table_2_B_S
    q2_differs_I_g = q2 * differs_I_g
    qt2_any_n_w_n_h = qt_any_n_w_n_h * q_t
    qt_any_n_w_n_h_differs_I_t = qt_any_n_w_n_h * differs_I_t
    B_q3 = B_q2 * q
    qt2_any_n_w_n_h_differs_I_t = qt2_any_n_w_n_h * differs_I_t
    B_q4 = B_q3 * q
    B_qt2_C = B_C * q_t * q_t
    rounded_I_t = (2 * q_t + 6) // 7
    B_C_rounded_I_t2 = B_C * rounded_I_t * rounded_I_t
    B_qt3_C = B_qt2_C * q_t
    B_qt4_C = B_qt3_C * q_t

    vision_matrix_flops = (
        3244032 * B_qt4_C + 786432 * B_qt3_C + 3244032 * B_q4 + 2786263040 * B_qt2_C +
        8410300416 * B_C_rounded_I_t2 + 786432 * B_q3 + 2786263040 * B_q2 +
        8410300416 * B_rounded_I_g2 + 604078080 * B_C + 604078080 * B
    )
    vision_vector_flops = (
        88320 * B_qt4_C + 88320 * B_q4 + 7591680 * B_qt2_C + 31836672 * B_C_rounded_I_t2 +
        425984 * qt2_any_n_w_n_h_differs_I_t + 7591680 * B_q2 + 31836672 * B_rounded_I_g2 +
        1214720 * B_C + 425984 * q2_differs_I_g + 16384 * qt_any_n_w_n_h_differs_I_t +
        16384 * q_differs_I_g - 2048 * any_n_w_n_h_differs_I_t + 1214720 * B - 2048 * differs_I_g
    )
    vision_bytes_read = (
        226560 * B_qt4_C + 12288 * B_qt3_C + 226560 * B_q4 + 8098304 * B_qt2_C +
        103563264 * B_C_rounded_I_t2 + 12288 * B_q3 + 79872 * qt2_any_n_w_n_h_differs_I_t +
        8098304 * B_q2 + 103563264 * B_rounded_I_g2 + 1877248 * B_C + 79872 * q2_differs_I_g +
        20480 * qt2_any_n_w_n_h + 8192 * qt_any_n_w_n_h_differs_I_t + 20480 * q2 +
        8192 * q_differs_I_g + 768 * qt_any_n_w_n_h + 13630464 * any_n_w_n_h_differs_I_t +
        1877248 * B + 768 * q + 13630464 * differs_I_g + 801993984 * any_n_w_n_h + 801993984
    )
    vision_bytes_written = (
        226560 * B_qt4_C + 12288 * B_qt3_C + 226560 * B_q4 + 6701704 * B_qt2_C +
        101154816 * B_C_rounded_I_t2 + 12288 * B_q3 + 79872 * qt2_any_n_w_n_h_differs_I_t +
        6701704 * B_q2 + 101154816 * B_rounded_I_g2 + 1486472 * B_C + 79872 * q2_differs_I_g +
        20480 * qt2_any_n_w_n_h + 8192 * qt_any_n_w_n_h_differs_I_t + 20480 * q2 +
        8192 * q_differs_I_g + 768 * qt_any_n_w_n_h + 13630464 * any_n_w_n_h_differs_I_t +
        1486472 * B + 768 * q + 13630464 * differs_I_g + 459008 * any_n_w_n_h + 459008
    )
    vision_weight_bytes = 802739200
    vision_activation_bytes = max(
        36864 * B_q4 + 24576 * B_qt2_C + 221184 * B_q2,
        36864 * B_qt4_C + 221184 * B_qt2_C + 31232 * B_q2,
        24576 * B_qt2_C + 49152 * B_q2 + 7639296 * B_rounded_I_g2,
        49152 * B_qt2_C + 7639296 * B_C_rounded_I_t2 + 31232 * B_q2
    )
    vision_kv_bytes = 0
    decoder_matrix_flops = 61440 * B_S2 + 817233920 * B_S + 1536 * S
    decoder_vector_flops = 720 * B_S2 + 967796 * B_S + 6144 * S
    decoder_bytes_read = (
        12800 * B_qt2_C + 10240 * B_q2 + 7680 * B_qt_nh + 1680 * B_S2 + 528 * B_S_table_2_B_S +
        7680 * B_q + 3592917 * B_S + 5120 * B + 2560 * any_n_w_n_h + 52368 * S + 66 * table_1_B_S +
        363 * table_2_B_S + 366752723
    )
    decoder_bytes_written = (
        10240 * B_qt2_C + 7680 * B_q2 + 7680 * B_qt_nh + 1680 * B_S2 + 7680 * B_q + 3051157 * B_S +
        5120 * B + 39984 * S + 99 * table_2_B_S + 3611091
    )
    decoder_weight_bytes = 5538516480
    decoder_activation_bytes = max(
        7680 * B_qt2_C + 7680 * B_q2 + 5120 * B_qt_nh + 5120 * B_q + 5129 * B_S + 5120 * B + 8 * S +
            256,
        5120 * B_qt2_C + 5120 * B_q2 + 2560 * B_qt_nh + 20 * B_S2 + 2560 * B_q + 15624 * B_S +
            2560 * B + 8 * S + 327936,
        5120 * B_qt2_C + 5120 * B_q2 + 2560 * B_qt_nh + 20 * B_S2 + 2560 * B_q + 53680 * B_S +
            2560 * B + 8 * S + 256,
        5120 * B_qt2_C + 5120 * B_q2 + 2560 * B_qt_nh + 100 * B_S2 + 2560 * B_q + 10248 * B_S +
            2560 * B + 8 * S + 256
    )
    decoder_kv_bytes = 61440 * B_S
    lm_head_matrix_flops = 330956800 * B_S
    lm_head_vector_flops = 0
    lm_head_bytes_read = 2560 * B_S + 330956800
    lm_head_bytes_written = 258560 * B_S
    lm_head_weight_bytes = 330956800
    lm_head_activation_bytes = 261120 * B_S
    lm_head_kv_bytes = 0
    vision_flops = vision_matrix_flops + vision_vector_flops
    vision_bytes_moved = vision_bytes_read + vision_bytes_written
    vision_resident_bytes = vision_activation_bytes + vision_weight_bytes
    decoder_flops = decoder_matrix_flops + decoder_vector_flops
    decoder_bytes_moved = decoder_bytes_read + decoder_bytes_written
    decoder_resident_bytes = decoder_activation_bytes + decoder_weight_bytes + decoder_kv_bytes
    lm_head_flops = lm_head_matrix_flops
    lm_head_bytes_moved = lm_head_bytes_read + lm_head_bytes_written
    lm_head_resident_bytes = lm_head_weight_bytes + lm_head_activation_bytes
    matrix_flops = vision_matrix_flops + decoder_matrix_flops + lm_head_matrix_flops
    vector_flops = vision_vector_flops + decoder_vector_flops
    bytes_read = vision_bytes_read + decoder_bytes_read + lm_head_bytes_read
    bytes_written = vision_bytes_written + decoder_bytes_written + lm_head_bytes_written
    weight_bytes = vision_weight_bytes + decoder_weight_bytes + lm_head_weight_bytes
    activation_bytes = max(
        261120 * B_S,
        36864 * B_q4 + 24576 * B_qt2_C + 221184 * B_q2,
        36864 * B_qt4_C + 221184 * B_qt2_C + 31232 * B_q2,
        24576 * B_qt2_C + 49152 * B_q2 + 7639296 * B_rounded_I_g2,
        49152 * B_qt2_C + 7639296 * B_C_rounded_I_t2 + 31232 * B_q2,
        5120 * B_qt2_C + 5120 * B_q2 + 2560 * B_qt_nh + 20 * B_S2 + 2560 * B_q + 15624 * B_S +
            2560 * B + 8 * S + 327936,
        5120 * B_qt2_C + 5120 * B_q2 + 2560 * B_qt_nh + 20 * B_S2 + 2560 * B_q + 53680 * B_S +
            2560 * B + 8 * S + 256,
        5120 * B_qt2_C + 5120 * B_q2 + 2560 * B_qt_nh + 100 * B_S2 + 2560 * B_q + 10248 * B_S +
            2560 * B + 8 * S + 256
    )
    kv_bytes = decoder_kv_bytes
    flops = matrix_flops + vector_flops
    bytes_moved = bytes_read + bytes_written
    resident_bytes = activation_bytes + weight_bytes + kv_bytes

    return PrefillFigures(
        flops=flops,
        matrix_flops=matrix_flops,
        vector_flops=vector_flops,
        bytes_read=bytes_read,
        bytes_written=bytes_written,
        bytes_moved=bytes_moved,
        weight_bytes=weight_bytes,
        activation_bytes=activation_bytes,
        kv_bytes=kv_bytes,
        resident_bytes=resident_bytes,
        vision_flops=vision_flops,
        vision_matrix_flops=vision_matrix_flops,
        vision_vector_flops=vision_vector_flops,
        vision_bytes_read=vision_bytes_read,
        vision_bytes_written=vision_bytes_written,
        vision_bytes_moved=vision_bytes_moved,
        vision_weight_bytes=vision_weight_bytes,
        vision_activation_bytes=vision_activation_bytes,
        vision_kv_bytes=vision_kv_bytes,
        vision_resident_bytes=vision_resident_bytes,
        decoder_flops=decoder_flops,
        decoder_matrix_flops=decoder_matrix_flops,
        decoder_vector_flops=decoder_vector_flops,
        decoder_bytes_read=decoder_bytes_read,
        decoder_bytes_written=decoder_bytes_written,
        decoder_bytes_moved=decoder_bytes_moved,
        decoder_weight_bytes=decoder_weight_bytes,
        decoder_activation_bytes=decoder_activation_bytes,
        decoder_kv_bytes=decoder_kv_bytes,
        decoder_resident_bytes=decoder_resident_bytes,
        lm_head_flops=lm_head_flops,
        lm_head_matrix_flops=lm_head_matrix_flops,
        lm_head_vector_flops=lm_head_vector_flops,
        lm_head_bytes_read=lm_head_bytes_read,
        lm_head_bytes_written=lm_head_bytes_written,
        lm_head_bytes_moved=lm_head_bytes_moved,
        lm_head_weight_bytes=lm_head_weight_bytes,
        lm_head_activation_bytes=lm_head_activation_bytes,
        lm_head_kv_bytes=lm_head_kv_bytes,
        lm_head_resident_bytes=lm_head_resident_bytes,
    )


def decode(*, B: int, K: int, T: int) -> DecodeFigures:
    """T steps behind K cached tokens, together.

    Parameters
    ----------
    B : int
        batch: sequences in the call, one page image each [sequences]; a positive integer
    K : int
        tokens per sequence that are cached already [tokens]; a non-negative integer
    T : int
        tokens to generate per sequence [tokens]; a positive integer

    Raises
    ------
    ValueError
        A size lies outside its domain; the message names it.
    """
    _check("B", B, 1, 1, "batch: sequences in the call, one page image each")
    _check("K", K, 0, 1, "tokens per sequence that are cached already")
    _check("T", T, 1, 1, "tokens to generate per sequence")

    B_T = B * T
    B_K = B * K
    least_B = min(194, B)
    table_2_B = _TABLE_2[least_B]
    T_table_2_B = T * table_2_B
    table_1_B = _TABLE_1[least_B]
    T_table_1_B = T * table_1_B
    B_T2 = B_T * T
    B_T_K = B_T * K
    B_T_table_2_B = B_T * table_2_B

    decoder_matrix_flops = 30720 * B_T2 + 61440 * B_T_K + 817264640 * B_T + 1536 * T
    decoder_vector_flops = 360 * B_T2 + 720 * B_T_K + 968156 * B_T + 6144 * T
    decoder_bytes_read = (
        62280 * B_T2 + 124560 * B_T_K + 528 * B_T_table_2_B + 3529748 * B_T + 363 * T_table_2_B +
        66 * T_table_1_B + 366799971 * T
    )
    decoder_bytes_written = (
        31560 * B_T2 + 63120 * B_T_K + 3018716 * B_T + 99 * T_table_2_B + 3651075 * T
    )
    decoder_weight_bytes = 5538511360
    decoder_activation_bytes = max(
        20 * B_T + 20 * B_K + 15624 * B + 327944,
        20 * B_T + 20 * B_K + 53680 * B + 264,
        2560 * B_T + 2560 * B_K + 12808 * B + 264
    )
    decoder_kv_bytes = 61440 * B_T + 61440 * B_K
    lm_head_matrix_flops = 330956800 * B_T
    lm_head_vector_flops = 0
    lm_head_bytes_read = 2560 * B_T + 330956800 * T
    lm_head_bytes_written = 258560 * B_T
    lm_head_weight_bytes = 330956800
    lm_head_activation_bytes = 261120 * B
    lm_head_kv_bytes = 0
    decoder_flops = decoder_matrix_flops + decoder_vector_flops
    decoder_bytes_moved = decoder_bytes_read + decoder_bytes_written
    decoder_resident_bytes = decoder_activation_bytes + decoder_weight_bytes + decoder_kv_bytes
    lm_head_flops = lm_head_matrix_flops
    lm_head_bytes_moved = lm_head_bytes_read + lm_head_bytes_written
    lm_head_resident_bytes = lm_head_weight_bytes + lm_head_activation_bytes
    matrix_flops = decoder_matrix_flops + lm_head_matrix_flops
    vector_flops = decoder_vector_flops
    bytes_read = decoder_bytes_read + lm_head_bytes_read
    bytes_written = decoder_bytes_written + lm_head_bytes_written
    weight_bytes = decoder_weight_bytes + lm_head_weight_bytes
    activation_bytes = max(
        261120 * B,
        20 * B_T + 20 * B_K + 15624 * B + 327944,
        2560 * B_T + 2560 * B_K + 12808 * B + 264
    )
    kv_bytes = decoder_kv_bytes
    flops = matrix_flops + vector_flops
    bytes_moved = bytes_read + bytes_written
    resident_bytes = activation_bytes + weight_bytes + kv_bytes

    return DecodeFigures(
        flops=flops,
        matrix_flops=matrix_flops,
        vector_flops=vector_flops,
        bytes_read=bytes_read,
        bytes_written=bytes_written,
        bytes_moved=bytes_moved,
        weight_bytes=weight_bytes,
        activation_bytes=activation_bytes,
        kv_bytes=kv_bytes,
        resident_bytes=resident_bytes,
        decoder_flops=decoder_flops,
        decoder_matrix_flops=decoder_matrix_flops,
        decoder_vector_flops=decoder_vector_flops,
        decoder_bytes_read=decoder_bytes_read,
        decoder_bytes_written=decoder_bytes_written,
        decoder_bytes_moved=decoder_bytes_moved,
        decoder_weight_bytes=decoder_weight_bytes,
        decoder_activation_bytes=decoder_activation_bytes,
        decoder_kv_bytes=decoder_kv_bytes,
        decoder_resident_bytes=decoder_resident_bytes,
        lm_head_flops=lm_head_flops,
        lm_head_matrix_flops=lm_head_matrix_flops,
        lm_head_vector_flops=lm_head_vector_flops,
        lm_head_bytes_read=lm_head_bytes_read,
        lm_head_bytes_written=lm_head_bytes_written,
        lm_head_bytes_moved=lm_head_bytes_moved,
        lm_head_weight_bytes=lm_head_weight_bytes,
        lm_head_activation_bytes=lm_head_activation_bytes,
        lm_head_kv_bytes=lm_head_kv_bytes,
        lm_head_resident_bytes=lm_head_resident_bytes,
    )


def _check(name: str, value: object, minimum: int, multiple: int, meaning: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} ({meaning}) is {value!r}; allowed: an integer")
    if value < minimum or value % multiple:
        of = f", a multiple of {multiple}" if multiple > 1 else ""
        raise ValueError(f"{name} ({meaning}) is {value}; allowed: at least {minimum}{of}")
