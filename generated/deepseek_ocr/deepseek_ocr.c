/* What deepseek-ocr costs, by stage; written by symcost 0.1.0. See deepseek_ocr.h. */
#include "deepseek_ocr.h"

#include <stdbool.h>
#include <stddef.h>

static int64_t product(bool *fits, int64_t a, int64_t b)
{
    const bool beyond = a > 0 ? (b > 0 ? a > INT64_MAX / b : b < INT64_MIN / a)
                              : (b > 0 ? a < INT64_MIN / b : a != 0 && b < INT64_MAX / a);
    if (beyond) {
        *fits = false;
        return 0;
    }
    return a * b;
}

struct term {
    int64_t number;
    int64_t of;
};

/* The sum of number * of. */
static int64_t sum(bool *fits, const struct term *terms, size_t count)
{
    int64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        const int64_t value = product(fits, terms[i].number, terms[i].of);
        if (value > 0 ? total > INT64_MAX - value : total < INT64_MIN - value) {
            *fits = false;
            return 0;
        }
        total += value;
    }
    return total;
}

#define SUM(...)                                                                                  \
    sum(&fits, (const struct term[]){__VA_ARGS__},                                                \
        sizeof((const struct term[]){__VA_ARGS__}) / sizeof(struct term))

static int64_t least(const int64_t *values, size_t count)
{
    int64_t found = values[0];
    for (size_t i = 1; i < count; i++)
        found = values[i] < found ? values[i] : found;
    return found;
}

#define LEAST(...)                                                                                \
    least((const int64_t[]){__VA_ARGS__},                                                         \
          sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static int64_t greatest(const int64_t *values, size_t count)
{
    int64_t found = values[0];
    for (size_t i = 1; i < count; i++)
        found = values[i] > found ? values[i] : found;
    return found;
}

#define GREATEST(...)                                                                             \
    greatest((const int64_t[]){__VA_ARGS__},                                                      \
             sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static int64_t distance(bool *fits, int64_t value)
{
    return value < 0 ? product(fits, -1, value) : value;
}

static int64_t floor_divide(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

static int64_t entry(bool *fits, const int64_t *table, size_t count, int64_t place)
{
    if (place < 0 || (uint64_t)place >= count) {
        *fits = false;
        return 0;
    }
    return table[place];
}

/*
 * Entry n of a table is what formulas make of n that raise a fraction to the power of n; beyond its
 * last one they do not change.
 */

static const int64_t TABLE_1[] = {
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
};

static const int64_t TABLE_2[] = {
    0, 6, 12, 17, 21, 25, 29, 32, 35, 38, 41, 43, 45, 47, 48, 50, 51, 52, 54, 55, 56, 56, 57, 58,
    58, 59, 60, 60, 60, 61, 61, 61, 62, 62, 62, 62, 63, 63, 63, 63, 63, 63, 63, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64,
};

int deepseek_ocr_vision(
    const struct deepseek_ocr_sizes *sizes,
    struct deepseek_ocr_vision_figures *figures
)
{
    bool fits = true;
    struct deepseek_ocr_vision_figures found;
    if (sizes->B < 1)
        return DEEPSEEK_OCR_BAD_B;
    if (sizes->I_g < 1 || sizes->I_g % 64 != 0)
        return DEEPSEEK_OCR_BAD_I_g;
    if (sizes->I_t < 1 || sizes->I_t % 64 != 0)
        return DEEPSEEK_OCR_BAD_I_t;
    if (sizes->n_w < 0)
        return DEEPSEEK_OCR_BAD_n_w;
    if (sizes->n_h < 0)
        return DEEPSEEK_OCR_BAD_n_h;

    const int64_t B = sizes->B;
    const int64_t q = sizes->I_g / 64;
    const int64_t distance_I_g = distance(&fits, SUM({64, q}, {-1024, 1}));
    const int64_t differs_I_g = LEAST(1, distance_I_g);
    const int64_t n_h = sizes->n_h;
    const int64_t n_w = sizes->n_w;
    const int64_t C = product(&fits, n_h, n_w);
    const int64_t any_n_w_n_h = LEAST(1, C);
    const int64_t q2 = product(&fits, q, q);
    const int64_t q_differs_I_g = product(&fits, q, differs_I_g);
    const int64_t q_t = sizes->I_t / 64;
    const int64_t qt_any_n_w_n_h = product(&fits, any_n_w_n_h, q_t);
    const int64_t distance_I_t = distance(&fits, SUM({64, q_t}, {-1024, 1}));
    const int64_t differs_I_t = LEAST(1, distance_I_t);
    const int64_t any_n_w_n_h_differs_I_t = product(&fits, any_n_w_n_h, differs_I_t);
    const int64_t B_q2 = product(&fits, q2, B);
    const int64_t rounded_I_g = floor_divide(SUM({2, q}, {6, 1}), 7);
    const int64_t B_rounded_I_g2 = product(&fits, product(&fits, B, rounded_I_g), rounded_I_g);
    const int64_t B_C = product(&fits, C, B);
    const int64_t q2_differs_I_g = product(&fits, q2, differs_I_g);
    const int64_t qt2_any_n_w_n_h = product(&fits, qt_any_n_w_n_h, q_t);
    const int64_t qt_any_n_w_n_h_differs_I_t = product(&fits, qt_any_n_w_n_h, differs_I_t);
    const int64_t B_q3 = product(&fits, B_q2, q);
    const int64_t qt2_any_n_w_n_h_differs_I_t = product(&fits, qt2_any_n_w_n_h, differs_I_t);
    const int64_t B_q4 = product(&fits, B_q3, q);
    const int64_t B_qt2_C = product(&fits, product(&fits, B_C, q_t), q_t);
    const int64_t rounded_I_t = floor_divide(SUM({2, q_t}, {6, 1}), 7);
    const int64_t B_C_rounded_I_t2 = product(&fits, product(&fits, B_C, rounded_I_t), rounded_I_t);
    const int64_t B_qt3_C = product(&fits, B_qt2_C, q_t);
    const int64_t B_qt4_C = product(&fits, B_qt3_C, q_t);

    found.sam_matrix_flops = SUM(
        {3145728, B_qt4_C}, {786432, B_qt3_C}, {3145728, B_q4}, {2176843776, B_qt2_C},
        {8410300416, B_C_rounded_I_t2}, {786432, B_q3}, {2176843776, B_q2},
        {8410300416, B_rounded_I_g2}
    );
    found.sam_vector_flops = SUM(
        {86016, B_qt4_C}, {86016, B_q4}, {6373376, B_qt2_C}, {31836672, B_C_rounded_I_t2},
        {393216, qt2_any_n_w_n_h_differs_I_t}, {6373376, B_q2}, {31836672, B_rounded_I_g2},
        {393216, q2_differs_I_g}, {16384, qt_any_n_w_n_h_differs_I_t}, {16384, q_differs_I_g},
        {-2048, any_n_w_n_h_differs_I_t}, {-2048, differs_I_g}
    );
    found.sam_bytes_read = SUM(
        {221184, B_qt4_C}, {12288, B_qt3_C}, {221184, B_q4}, {6205440, B_qt2_C},
        {103563264, B_C_rounded_I_t2}, {12288, B_q3}, {73728, qt2_any_n_w_n_h_differs_I_t},
        {6205440, B_q2}, {103563264, B_rounded_I_g2}, {73728, q2_differs_I_g},
        {18432, qt2_any_n_w_n_h}, {8192, qt_any_n_w_n_h_differs_I_t}, {18432, q2},
        {8192, q_differs_I_g}, {768, qt_any_n_w_n_h}, {12581888, any_n_w_n_h_differs_I_t}, {768, q},
        {12581888, differs_I_g}, {191595264, any_n_w_n_h}, {191595264, 1}
    );
    found.sam_bytes_written = SUM(
        {221184, B_qt4_C}, {12288, B_qt3_C}, {221184, B_q4}, {5203200, B_qt2_C},
        {101154816, B_C_rounded_I_t2}, {12288, B_q3}, {73728, qt2_any_n_w_n_h_differs_I_t},
        {5203200, B_q2}, {101154816, B_rounded_I_g2}, {73728, q2_differs_I_g},
        {18432, qt2_any_n_w_n_h}, {8192, qt_any_n_w_n_h_differs_I_t}, {18432, q2},
        {8192, q_differs_I_g}, {768, qt_any_n_w_n_h}, {12581888, any_n_w_n_h_differs_I_t}, {768, q},
        {12581888, differs_I_g}, {456960, any_n_w_n_h}, {456960, 1}
    );
    found.sam_weight_bytes = 191138304;
    found.sam_activation_bytes = GREATEST(
        SUM({36864, B_q4}, {24576, B_qt2_C}, {221184, B_q2}),
        SUM({36864, B_qt4_C}, {221184, B_qt2_C}, {31232, B_q2}),
        SUM({24576, B_qt2_C}, {49152, B_q2}, {7639296, B_rounded_I_g2}),
        SUM({49152, B_qt2_C}, {7639296, B_C_rounded_I_t2}, {31232, B_q2})
    );
    found.sam_kv_bytes = 0;
    found.clip_matrix_flops = SUM(
        {98304, B_qt4_C}, {98304, B_q4}, {604176384, B_qt2_C}, {604176384, B_q2}, {604078080, B_C},
        {604078080, B}
    );
    found.clip_vector_flops = SUM(
        {2304, B_qt4_C}, {2304, B_q4}, {1217024, B_qt2_C}, {32768, qt2_any_n_w_n_h_differs_I_t},
        {1217024, B_q2}, {1214720, B_C}, {32768, q2_differs_I_g}, {1214720, B}
    );
    found.clip_bytes_read = SUM(
        {5376, B_qt4_C}, {5376, B_q4}, {1888768, B_qt2_C}, {6144, qt2_any_n_w_n_h_differs_I_t},
        {1888768, B_q2}, {1877248, B_C}, {6144, q2_differs_I_g}, {2048, qt2_any_n_w_n_h},
        {2048, q2}, {1048576, any_n_w_n_h_differs_I_t}, {1877248, B}, {1048576, differs_I_g},
        {605153280, any_n_w_n_h}, {605153280, 1}
    );
    found.clip_bytes_written = SUM(
        {5376, B_qt4_C}, {5376, B_q4}, {1495944, B_qt2_C}, {6144, qt2_any_n_w_n_h_differs_I_t},
        {1495944, B_q2}, {1486472, B_C}, {6144, q2_differs_I_g}, {2048, qt2_any_n_w_n_h},
        {2048, q2}, {1048576, any_n_w_n_h_differs_I_t}, {1486472, B}, {1048576, differs_I_g},
        {2048, any_n_w_n_h}, {2048, 1}
    );
    found.clip_weight_bytes = 606355456;
    found.clip_activation_bytes = GREATEST(
        SUM({32, B_q4}, {24576, B_qt2_C}, {57408, B_q2}, {30752, B}),
        SUM({160, B_q4}, {24576, B_qt2_C}, {39232, B_q2}, {12448, B}),
        SUM({32, B_qt4_C}, {57408, B_qt2_C}, {31232, B_q2}, {30752, B_C}),
        SUM({160, B_qt4_C}, {39232, B_qt2_C}, {31232, B_q2}, {12448, B_C})
    );
    found.clip_kv_bytes = 0;
    found.projector_matrix_flops = SUM({5242880, B_qt2_C}, {5242880, B_q2});
    found.projector_vector_flops = SUM({1280, B_qt2_C}, {1280, B_q2});
    found.projector_bytes_read = SUM(
        {4096, B_qt2_C}, {4096, B_q2}, {5245440, any_n_w_n_h}, {5245440, 1}
    );
    found.projector_bytes_written = SUM({2560, B_qt2_C}, {2560, B_q2});
    found.projector_weight_bytes = 5245440;
    found.projector_activation_bytes = SUM({31232, B_qt2_C}, {31232, B_q2});
    found.projector_kv_bytes = 0;
    found.sam_flops = SUM({1, found.sam_matrix_flops}, {1, found.sam_vector_flops});
    found.sam_bytes_moved = SUM({1, found.sam_bytes_read}, {1, found.sam_bytes_written});
    found.sam_resident_bytes = SUM({1, found.sam_activation_bytes}, {1, found.sam_weight_bytes});
    found.clip_flops = SUM({1, found.clip_matrix_flops}, {1, found.clip_vector_flops});
    found.clip_bytes_moved = SUM({1, found.clip_bytes_read}, {1, found.clip_bytes_written});
    found.clip_resident_bytes = SUM({1, found.clip_activation_bytes}, {1, found.clip_weight_bytes});
    found.projector_flops = SUM(
        {1, found.projector_matrix_flops}, {1, found.projector_vector_flops}
    );
    found.projector_bytes_moved = SUM(
        {1, found.projector_bytes_read}, {1, found.projector_bytes_written}
    );
    found.projector_resident_bytes = SUM(
        {1, found.projector_weight_bytes}, {1, found.projector_activation_bytes}
    );
    found.matrix_flops = SUM(
        {1, found.sam_matrix_flops}, {1, found.clip_matrix_flops}, {1, found.projector_matrix_flops}
    );
    found.vector_flops = SUM(
        {1, found.sam_vector_flops}, {1, found.clip_vector_flops}, {1, found.projector_vector_flops}
    );
    found.bytes_read = SUM(
        {1, found.sam_bytes_read}, {1, found.clip_bytes_read}, {1, found.projector_bytes_read}
    );
    found.bytes_written = SUM(
        {1, found.sam_bytes_written}, {1, found.clip_bytes_written},
        {1, found.projector_bytes_written}
    );
    found.weight_bytes = SUM(
        {1, found.sam_weight_bytes}, {1, found.clip_weight_bytes}, {1, found.projector_weight_bytes}
    );
    found.activation_bytes = found.sam_activation_bytes;
    found.kv_bytes = 0;
    found.flops = SUM({1, found.matrix_flops}, {1, found.vector_flops});
    found.bytes_moved = SUM({1, found.bytes_read}, {1, found.bytes_written});
    found.resident_bytes = SUM({1, found.activation_bytes}, {1, found.weight_bytes});

    if (!fits)
        return DEEPSEEK_OCR_OVERFLOW;
    *figures = found;
    return DEEPSEEK_OCR_OK;
}

int deepseek_ocr_prefill(
    const struct deepseek_ocr_sizes *sizes,
    struct deepseek_ocr_prefill_figures *figures
)
{
    bool fits = true;
    struct deepseek_ocr_prefill_figures found;
    if (sizes->B < 1)
        return DEEPSEEK_OCR_BAD_B;
    if (sizes->S < 1)
        return DEEPSEEK_OCR_BAD_S;
    if (sizes->I_g < 1 || sizes->I_g % 64 != 0)
        return DEEPSEEK_OCR_BAD_I_g;
    if (sizes->I_t < 1 || sizes->I_t % 64 != 0)
        return DEEPSEEK_OCR_BAD_I_t;
    if (sizes->n_w < 0)
        return DEEPSEEK_OCR_BAD_n_w;
    if (sizes->n_h < 0)
        return DEEPSEEK_OCR_BAD_n_h;

    const int64_t B = sizes->B;
    const int64_t q = sizes->I_g / 64;
    const int64_t distance_I_g = distance(&fits, SUM({64, q}, {-1024, 1}));
    const int64_t differs_I_g = LEAST(1, distance_I_g);
    const int64_t n_h = sizes->n_h;
    const int64_t n_w = sizes->n_w;
    const int64_t C = product(&fits, n_h, n_w);
    const int64_t any_n_w_n_h = LEAST(1, C);
    const int64_t S = sizes->S;
    const int64_t B_S = product(&fits, B, S);
    const int64_t least_B_S = LEAST(194, B_S);
    const int64_t table_1_B_S = entry(&fits, TABLE_1, sizeof TABLE_1 / sizeof *TABLE_1, least_B_S);
    const int64_t table_2_B_S = entry(&fits, TABLE_2, sizeof TABLE_2 / sizeof *TABLE_2, least_B_S);
    const int64_t B_q = product(&fits, B, q);
    const int64_t q2 = product(&fits, q, q);
    const int64_t q_differs_I_g = product(&fits, q, differs_I_g);
    const int64_t q_t = sizes->I_t / 64;
    const int64_t qt_any_n_w_n_h = product(&fits, any_n_w_n_h, q_t);
    const int64_t distance_I_t = distance(&fits, SUM({64, q_t}, {-1024, 1}));
    const int64_t differs_I_t = LEAST(1, distance_I_t);
    const int64_t any_n_w_n_h_differs_I_t = product(&fits, any_n_w_n_h, differs_I_t);
    const int64_t B_q2 = product(&fits, B_q, q);
    const int64_t rounded_I_g = floor_divide(SUM({2, q}, {6, 1}), 7);
    const int64_t B_rounded_I_g2 = product(&fits, product(&fits, B, rounded_I_g), rounded_I_g);
    const int64_t B_qt_nh = product(&fits, product(&fits, B, q_t), n_h);
    const int64_t B_C = product(&fits, C, B);
    const int64_t B_S2 = product(&fits, B_S, S);
    const int64_t B_S_table_2_B_S = product(&fits, B_S, table_2_B_S);
    const int64_t q2_differs_I_g = product(&fits, q2, differs_I_g);
    const int64_t qt2_any_n_w_n_h = product(&fits, qt_any_n_w_n_h, q_t);
    const int64_t qt_any_n_w_n_h_differs_I_t = product(&fits, qt_any_n_w_n_h, differs_I_t);
    const int64_t B_q3 = product(&fits, B_q2, q);
    const int64_t qt2_any_n_w_n_h_differs_I_t = product(&fits, qt2_any_n_w_n_h, differs_I_t);
    const int64_t B_q4 = product(&fits, B_q3, q);
    const int64_t B_qt2_C = product(&fits, product(&fits, B_C, q_t), q_t);
    const int64_t rounded_I_t = floor_divide(SUM({2, q_t}, {6, 1}), 7);
    const int64_t B_C_rounded_I_t2 = product(&fits, product(&fits, B_C, rounded_I_t), rounded_I_t);
    const int64_t B_qt3_C = product(&fits, B_qt2_C, q_t);
    const int64_t B_qt4_C = product(&fits, B_qt3_C, q_t);

    found.vision_matrix_flops = SUM(
        {3244032, B_qt4_C}, {786432, B_qt3_C}, {3244032, B_q4}, {2786263040, B_qt2_C},
        {8410300416, B_C_rounded_I_t2}, {786432, B_q3}, {2786263040, B_q2},
        {8410300416, B_rounded_I_g2}, {604078080, B_C}, {604078080, B}
    );
    found.vision_vector_flops = SUM(
        {88320, B_qt4_C}, {88320, B_q4}, {7591680, B_qt2_C}, {31836672, B_C_rounded_I_t2},
        {425984, qt2_any_n_w_n_h_differs_I_t}, {7591680, B_q2}, {31836672, B_rounded_I_g2},
        {1214720, B_C}, {425984, q2_differs_I_g}, {16384, qt_any_n_w_n_h_differs_I_t},
        {16384, q_differs_I_g}, {-2048, any_n_w_n_h_differs_I_t}, {1214720, B}, {-2048, differs_I_g}
    );
    found.vision_bytes_read = SUM(
        {226560, B_qt4_C}, {12288, B_qt3_C}, {226560, B_q4}, {8098304, B_qt2_C},
        {103563264, B_C_rounded_I_t2}, {12288, B_q3}, {79872, qt2_any_n_w_n_h_differs_I_t},
        {8098304, B_q2}, {103563264, B_rounded_I_g2}, {1877248, B_C}, {79872, q2_differs_I_g},
        {20480, qt2_any_n_w_n_h}, {8192, qt_any_n_w_n_h_differs_I_t}, {20480, q2},
        {8192, q_differs_I_g}, {768, qt_any_n_w_n_h}, {13630464, any_n_w_n_h_differs_I_t},
        {1877248, B}, {768, q}, {13630464, differs_I_g}, {801993984, any_n_w_n_h}, {801993984, 1}
    );
    found.vision_bytes_written = SUM(
        {226560, B_qt4_C}, {12288, B_qt3_C}, {226560, B_q4}, {6701704, B_qt2_C},
        {101154816, B_C_rounded_I_t2}, {12288, B_q3}, {79872, qt2_any_n_w_n_h_differs_I_t},
        {6701704, B_q2}, {101154816, B_rounded_I_g2}, {1486472, B_C}, {79872, q2_differs_I_g},
        {20480, qt2_any_n_w_n_h}, {8192, qt_any_n_w_n_h_differs_I_t}, {20480, q2},
        {8192, q_differs_I_g}, {768, qt_any_n_w_n_h}, {13630464, any_n_w_n_h_differs_I_t},
        {1486472, B}, {768, q}, {13630464, differs_I_g}, {459008, any_n_w_n_h}, {459008, 1}
    );
    found.vision_weight_bytes = 802739200;
    found.vision_activation_bytes = GREATEST(
        SUM({36864, B_q4}, {24576, B_qt2_C}, {221184, B_q2}),
        SUM({36864, B_qt4_C}, {221184, B_qt2_C}, {31232, B_q2}),
        SUM({24576, B_qt2_C}, {49152, B_q2}, {7639296, B_rounded_I_g2}),
        SUM({49152, B_qt2_C}, {7639296, B_C_rounded_I_t2}, {31232, B_q2})
    );
    found.vision_kv_bytes = 0;
    found.decoder_matrix_flops = SUM({61440, B_S2}, {817233920, B_S}, {1536, S});
    found.decoder_vector_flops = SUM({720, B_S2}, {967796, B_S}, {6144, S});
    found.decoder_bytes_read = SUM(
        {12800, B_qt2_C}, {10240, B_q2}, {7680, B_qt_nh}, {1680, B_S2}, {528, B_S_table_2_B_S},
        {7680, B_q}, {3592917, B_S}, {5120, B}, {2560, any_n_w_n_h}, {52368, S}, {66, table_1_B_S},
        {363, table_2_B_S}, {366752723, 1}
    );
    found.decoder_bytes_written = SUM(
        {10240, B_qt2_C}, {7680, B_q2}, {7680, B_qt_nh}, {1680, B_S2}, {7680, B_q}, {3051157, B_S},
        {5120, B}, {39984, S}, {99, table_2_B_S}, {3611091, 1}
    );
    found.decoder_weight_bytes = 5538516480;
    found.decoder_activation_bytes = GREATEST(
        SUM({7680, B_qt2_C}, {7680, B_q2}, {5120, B_qt_nh}, {5120, B_q}, {5129, B_S}, {5120, B},
            {8, S}, {256, 1}),
        SUM({5120, B_qt2_C}, {5120, B_q2}, {2560, B_qt_nh}, {20, B_S2}, {2560, B_q}, {15624, B_S},
            {2560, B}, {8, S}, {327936, 1}),
        SUM({5120, B_qt2_C}, {5120, B_q2}, {2560, B_qt_nh}, {20, B_S2}, {2560, B_q}, {53680, B_S},
            {2560, B}, {8, S}, {256, 1}),
        SUM({5120, B_qt2_C}, {5120, B_q2}, {2560, B_qt_nh}, {100, B_S2}, {2560, B_q}, {10248, B_S},
            {2560, B}, {8, S}, {256, 1})
    );
    found.decoder_kv_bytes = SUM({61440, B_S});
    found.lm_head_matrix_flops = SUM({330956800, B_S});
    found.lm_head_vector_flops = 0;
    found.lm_head_bytes_read = SUM({2560, B_S}, {330956800, 1});
    found.lm_head_bytes_written = SUM({258560, B_S});
    found.lm_head_weight_bytes = 330956800;
    found.lm_head_activation_bytes = SUM({261120, B_S});
    found.lm_head_kv_bytes = 0;
    found.vision_flops = SUM({1, found.vision_matrix_flops}, {1, found.vision_vector_flops});
    found.vision_bytes_moved = SUM({1, found.vision_bytes_read}, {1, found.vision_bytes_written});
    found.vision_resident_bytes = SUM(
        {1, found.vision_activation_bytes}, {1, found.vision_weight_bytes}
    );
    found.decoder_flops = SUM({1, found.decoder_matrix_flops}, {1, found.decoder_vector_flops});
    found.decoder_bytes_moved = SUM(
        {1, found.decoder_bytes_read}, {1, found.decoder_bytes_written}
    );
    found.decoder_resident_bytes = SUM(
        {1, found.decoder_activation_bytes}, {1, found.decoder_weight_bytes},
        {1, found.decoder_kv_bytes}
    );
    found.lm_head_flops = found.lm_head_matrix_flops;
    found.lm_head_bytes_moved = SUM(
        {1, found.lm_head_bytes_read}, {1, found.lm_head_bytes_written}
    );
    found.lm_head_resident_bytes = SUM(
        {1, found.lm_head_weight_bytes}, {1, found.lm_head_activation_bytes}
    );
    found.matrix_flops = SUM(
        {1, found.vision_matrix_flops}, {1, found.decoder_matrix_flops},
        {1, found.lm_head_matrix_flops}
    );
    found.vector_flops = SUM({1, found.vision_vector_flops}, {1, found.decoder_vector_flops});
    found.bytes_read = SUM(
        {1, found.vision_bytes_read}, {1, found.decoder_bytes_read}, {1, found.lm_head_bytes_read}
    );
    found.bytes_written = SUM(
        {1, found.vision_bytes_written}, {1, found.decoder_bytes_written},
        {1, found.lm_head_bytes_written}
    );
    found.weight_bytes = SUM(
        {1, found.vision_weight_bytes}, {1, found.decoder_weight_bytes},
        {1, found.lm_head_weight_bytes}
    );
    found.activation_bytes = GREATEST(
        SUM({261120, B_S}),
        SUM({36864, B_q4}, {24576, B_qt2_C}, {221184, B_q2}),
        SUM({36864, B_qt4_C}, {221184, B_qt2_C}, {31232, B_q2}),
        SUM({24576, B_qt2_C}, {49152, B_q2}, {7639296, B_rounded_I_g2}),
        SUM({49152, B_qt2_C}, {7639296, B_C_rounded_I_t2}, {31232, B_q2}),
        SUM({5120, B_qt2_C}, {5120, B_q2}, {2560, B_qt_nh}, {20, B_S2}, {2560, B_q}, {15624, B_S},
            {2560, B}, {8, S}, {327936, 1}),
        SUM({5120, B_qt2_C}, {5120, B_q2}, {2560, B_qt_nh}, {20, B_S2}, {2560, B_q}, {53680, B_S},
            {2560, B}, {8, S}, {256, 1}),
        SUM({5120, B_qt2_C}, {5120, B_q2}, {2560, B_qt_nh}, {100, B_S2}, {2560, B_q}, {10248, B_S},
            {2560, B}, {8, S}, {256, 1})
    );
    found.kv_bytes = found.decoder_kv_bytes;
    found.flops = SUM({1, found.matrix_flops}, {1, found.vector_flops});
    found.bytes_moved = SUM({1, found.bytes_read}, {1, found.bytes_written});
    found.resident_bytes = SUM(
        {1, found.activation_bytes}, {1, found.weight_bytes}, {1, found.kv_bytes}
    );

    if (!fits)
        return DEEPSEEK_OCR_OVERFLOW;
    *figures = found;
    return DEEPSEEK_OCR_OK;
}

int deepseek_ocr_decode(
    const struct deepseek_ocr_sizes *sizes,
    struct deepseek_ocr_decode_figures *figures
)
{
    bool fits = true;
    struct deepseek_ocr_decode_figures found;
    if (sizes->B < 1)
        return DEEPSEEK_OCR_BAD_B;
    if (sizes->K < 0)
        return DEEPSEEK_OCR_BAD_K;
    if (sizes->T < 1)
        return DEEPSEEK_OCR_BAD_T;

    const int64_t B = sizes->B;
    const int64_t T = sizes->T;
    const int64_t B_T = product(&fits, B, T);
    const int64_t K = sizes->K;
    const int64_t B_K = product(&fits, B, K);
    const int64_t least_B = LEAST(194, B);
    const int64_t table_2_B = entry(&fits, TABLE_2, sizeof TABLE_2 / sizeof *TABLE_2, least_B);
    const int64_t T_table_2_B = product(&fits, T, table_2_B);
    const int64_t table_1_B = entry(&fits, TABLE_1, sizeof TABLE_1 / sizeof *TABLE_1, least_B);
    const int64_t T_table_1_B = product(&fits, T, table_1_B);
    const int64_t B_T2 = product(&fits, B_T, T);
    const int64_t B_T_K = product(&fits, B_T, K);
    const int64_t B_T_table_2_B = product(&fits, B_T, table_2_B);

    found.decoder_matrix_flops = SUM({30720, B_T2}, {61440, B_T_K}, {817264640, B_T}, {1536, T});
    found.decoder_vector_flops = SUM({360, B_T2}, {720, B_T_K}, {968156, B_T}, {6144, T});
    found.decoder_bytes_read = SUM(
        {62280, B_T2}, {124560, B_T_K}, {528, B_T_table_2_B}, {3529748, B_T}, {363, T_table_2_B},
        {66, T_table_1_B}, {366799971, T}
    );
    found.decoder_bytes_written = SUM(
        {31560, B_T2}, {63120, B_T_K}, {3018716, B_T}, {99, T_table_2_B}, {3651075, T}
    );
    found.decoder_weight_bytes = 5538511360;
    found.decoder_activation_bytes = GREATEST(
        SUM({20, B_T}, {20, B_K}, {15624, B}, {327944, 1}),
        SUM({20, B_T}, {20, B_K}, {53680, B}, {264, 1}),
        SUM({2560, B_T}, {2560, B_K}, {12808, B}, {264, 1})
    );
    found.decoder_kv_bytes = SUM({61440, B_T}, {61440, B_K});
    found.lm_head_matrix_flops = SUM({330956800, B_T});
    found.lm_head_vector_flops = 0;
    found.lm_head_bytes_read = SUM({2560, B_T}, {330956800, T});
    found.lm_head_bytes_written = SUM({258560, B_T});
    found.lm_head_weight_bytes = 330956800;
    found.lm_head_activation_bytes = SUM({261120, B});
    found.lm_head_kv_bytes = 0;
    found.decoder_flops = SUM({1, found.decoder_matrix_flops}, {1, found.decoder_vector_flops});
    found.decoder_bytes_moved = SUM(
        {1, found.decoder_bytes_read}, {1, found.decoder_bytes_written}
    );
    found.decoder_resident_bytes = SUM(
        {1, found.decoder_activation_bytes}, {1, found.decoder_weight_bytes},
        {1, found.decoder_kv_bytes}
    );
    found.lm_head_flops = found.lm_head_matrix_flops;
    found.lm_head_bytes_moved = SUM(
        {1, found.lm_head_bytes_read}, {1, found.lm_head_bytes_written}
    );
    found.lm_head_resident_bytes = SUM(
        {1, found.lm_head_weight_bytes}, {1, found.lm_head_activation_bytes}
    );
    found.matrix_flops = SUM({1, found.decoder_matrix_flops}, {1, found.lm_head_matrix_flops});
    found.vector_flops = found.decoder_vector_flops;
    found.bytes_read = SUM({1, found.decoder_bytes_read}, {1, found.lm_head_bytes_read});
    found.bytes_written = SUM({1, found.decoder_bytes_written}, {1, found.lm_head_bytes_written});
    found.weight_bytes = SUM({1, found.decoder_weight_bytes}, {1, found.lm_head_weight_bytes});
    found.activation_bytes = GREATEST(
        SUM({261120, B}),
        SUM({20, B_T}, {20, B_K}, {15624, B}, {327944, 1}),
        SUM({2560, B_T}, {2560, B_K}, {12808, B}, {264, 1})
    );
    found.kv_bytes = found.decoder_kv_bytes;
    found.flops = SUM({1, found.matrix_flops}, {1, found.vector_flops});
    found.bytes_moved = SUM({1, found.bytes_read}, {1, found.bytes_written});
    found.resident_bytes = SUM(
        {1, found.activation_bytes}, {1, found.weight_bytes}, {1, found.kv_bytes}
    );

    if (!fits)
        return DEEPSEEK_OCR_OVERFLOW;
    *figures = found;
    return DEEPSEEK_OCR_OK;
}
