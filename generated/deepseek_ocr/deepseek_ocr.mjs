/**
 * What deepseek-ocr costs, by stage; written by symcost 0.1.0.
 * All figures are exact, for reference vendor; execution eager; head on all tokens; widths
 * weights=2,activations=2,kv=2; experts expected, their bytes rounded to whole weights.
 */

// Entry n of a table is what formulas make of n that raise a fraction to the power of n; beyond its
// last one they do not change.

const TABLE_1 = [
  0n, 6881280n, 13117440n, 18768960n, 23890650n, 28532182n, 32738570n, 36550609n, 40005269n,
  43136055n, 45973330n, 48544610n, 50874833n, 52986597n, 54900384n, 56634753n, 58206525n, 59630943n,
  60921822n, 62091681n, 63151866n, 64112659n, 64983377n, 65772465n, 66487577n, 67135646n, 67722960n,
  68255212n, 68737566n, 69174699n, 69570851n, 69929864n, 70255219n, 70550072n, 70817283n, 71059443n,
  71278900n, 71477783n, 71658021n, 71821361n, 71969389n, 72103539n, 72225112n, 72335288n, 72435134n,
  72525621n, 72607624n, 72681939n, 72749287n, 72810321n, 72865634n, 72915761n, 72961188n, 73002357n,
  73039666n, 73073477n, 73104119n, 73131888n, 73157053n, 73179859n, 73200528n, 73219258n, 73236233n,
  73251616n, 73265557n, 73278191n, 73289640n, 73300017n, 73309420n, 73317942n, 73325665n, 73332664n,
  73339007n, 73344755n, 73349964n, 73354685n, 73358963n, 73362840n, 73366354n, 73369538n, 73372424n,
  73375039n, 73377409n, 73379557n, 73381504n, 73383268n, 73384866n, 73386315n, 73387628n, 73388818n,
  73389896n, 73390874n, 73391759n, 73392562n, 73393289n, 73393948n, 73394546n, 73395087n, 73395578n,
  73396022n, 73396425n, 73396790n, 73397121n, 73397421n, 73397693n, 73397939n, 73398162n, 73398365n,
  73398548n, 73398714n, 73398865n, 73399001n, 73399125n, 73399237n, 73399338n, 73399430n, 73399514n,
  73399589n, 73399658n, 73399720n, 73399776n, 73399827n, 73399873n, 73399915n, 73399953n, 73399988n,
  73400019n, 73400047n, 73400073n, 73400096n, 73400117n, 73400136n, 73400153n, 73400169n, 73400183n,
  73400196n, 73400207n, 73400218n, 73400228n, 73400236n, 73400244n, 73400251n, 73400258n, 73400263n,
  73400269n, 73400274n, 73400278n, 73400282n, 73400285n, 73400289n, 73400292n, 73400294n, 73400297n,
  73400299n, 73400301n, 73400303n, 73400304n, 73400306n, 73400307n, 73400308n, 73400309n, 73400310n,
  73400311n, 73400312n, 73400313n, 73400314n, 73400314n, 73400315n, 73400315n, 73400316n, 73400316n,
  73400316n, 73400317n, 73400317n, 73400317n, 73400318n, 73400318n, 73400318n, 73400318n, 73400318n,
  73400319n, 73400319n, 73400319n, 73400319n, 73400319n, 73400319n, 73400319n, 73400319n, 73400319n,
  73400319n, 73400319n, 73400319n, 73400320n, 73400320n, 73400320n,
];

const TABLE_2 = [
  0n, 6n, 12n, 17n, 21n, 25n, 29n, 32n, 35n, 38n, 41n, 43n, 45n, 47n, 48n, 50n, 51n, 52n, 54n, 55n,
  56n, 56n, 57n, 58n, 58n, 59n, 60n, 60n, 60n, 61n, 61n, 61n, 62n, 62n, 62n, 62n, 63n, 63n, 63n,
  63n, 63n, 63n, 63n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n,
  64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n,
  64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n,
  64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n,
  64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n,
  64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n,
  64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n,
  64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n, 64n,
  64n, 64n, 64n, 64n,
];

/**
 * @typedef {object} VisionFigures
 * @property {bigint} flops FLOPs
 * @property {bigint} matrix_flops FLOPs of the matrix engine, 2 per multiply-accumulate
 * @property {bigint} vector_flops FLOPs of everything else, at the documented cost per element
 * @property {bigint} bytes_read bytes that kernels read
 * @property {bigint} bytes_written bytes that kernels write
 * @property {bigint} bytes_moved bytes that kernels read and write
 * @property {bigint} weight_bytes bytes of resident weights
 * @property {bigint} activation_bytes peak bytes of live activations
 * @property {bigint} kv_bytes bytes of the KV cache after the stage
 * @property {bigint} resident_bytes bytes of weights, cache, gradients and peak activations
 *   together
 * @property {bigint} sam_flops sam: FLOPs
 * @property {bigint} sam_matrix_flops sam: FLOPs of the matrix engine, 2 per multiply-accumulate
 * @property {bigint} sam_vector_flops sam: FLOPs of everything else, at the documented cost per
 *   element
 * @property {bigint} sam_bytes_read sam: bytes that kernels read
 * @property {bigint} sam_bytes_written sam: bytes that kernels write
 * @property {bigint} sam_bytes_moved sam: bytes that kernels read and write
 * @property {bigint} sam_weight_bytes sam: bytes of resident weights
 * @property {bigint} sam_activation_bytes sam: peak bytes of live activations
 * @property {bigint} sam_kv_bytes sam: bytes of the KV cache after the stage
 * @property {bigint} sam_resident_bytes sam: bytes of weights, cache, gradients and peak
 *   activations together
 * @property {bigint} clip_flops clip: FLOPs
 * @property {bigint} clip_matrix_flops clip: FLOPs of the matrix engine, 2 per multiply-accumulate
 * @property {bigint} clip_vector_flops clip: FLOPs of everything else, at the documented cost per
 *   element
 * @property {bigint} clip_bytes_read clip: bytes that kernels read
 * @property {bigint} clip_bytes_written clip: bytes that kernels write
 * @property {bigint} clip_bytes_moved clip: bytes that kernels read and write
 * @property {bigint} clip_weight_bytes clip: bytes of resident weights
 * @property {bigint} clip_activation_bytes clip: peak bytes of live activations
 * @property {bigint} clip_kv_bytes clip: bytes of the KV cache after the stage
 * @property {bigint} clip_resident_bytes clip: bytes of weights, cache, gradients and peak
 *   activations together
 * @property {bigint} projector_flops projector: FLOPs
 * @property {bigint} projector_matrix_flops projector: FLOPs of the matrix engine, 2 per
 *   multiply-accumulate
 * @property {bigint} projector_vector_flops projector: FLOPs of everything else, at the documented
 *   cost per element
 * @property {bigint} projector_bytes_read projector: bytes that kernels read
 * @property {bigint} projector_bytes_written projector: bytes that kernels write
 * @property {bigint} projector_bytes_moved projector: bytes that kernels read and write
 * @property {bigint} projector_weight_bytes projector: bytes of resident weights
 * @property {bigint} projector_activation_bytes projector: peak bytes of live activations
 * @property {bigint} projector_kv_bytes projector: bytes of the KV cache after the stage
 * @property {bigint} projector_resident_bytes projector: bytes of weights, cache, gradients and
 *   peak activations together
 */

/**
 * The vision tower and the projector on all pages of a batch.
 *
 * @param {object} sizes
 * @param {number|bigint} sizes.B batch: sequences in the call, one page image each [sequences]; a
 *   positive integer
 * @param {number|bigint} sizes.I_g side of the global view (base_size) [pixels]; a positive
 *   multiple of 64
 * @param {number|bigint} sizes.I_t side of a tile (image_size) [pixels]; a positive multiple of 64
 * @param {number|bigint} sizes.n_w columns of the crop grid; 0 without crops [tiles]; a
 *   non-negative integer
 * @param {number|bigint} sizes.n_h rows of the crop grid; 0 without crops [tiles]; a non-negative
 *   integer
 * @returns {VisionFigures}
 * @throws {RangeError} A size lies outside its domain; the message names it.
 */
export function vision(sizes = {}) {
  const B = whole("B", sizes.B, 1n, 1n, "batch: sequences in the call, one page image each");
  const I_g = whole("I_g", sizes.I_g, 1n, 64n, "side of the global view (base_size)");
  const I_t = whole("I_t", sizes.I_t, 1n, 64n, "side of a tile (image_size)");
  const n_w = whole("n_w", sizes.n_w, 0n, 1n, "columns of the crop grid; 0 without crops");
  const n_h = whole("n_h", sizes.n_h, 0n, 1n, "rows of the crop grid; 0 without crops");

  const q = I_g / 64n;
  const distance_I_g = distance(64n * q - 1024n);
  const differs_I_g = least(1n, distance_I_g);
  const C = n_h * n_w;
  const any_n_w_n_h = least(1n, C);
  const q2 = q * q;
  const q_differs_I_g = q * differs_I_g;
  const q_t = I_t / 64n;
  const qt_any_n_w_n_h = any_n_w_n_h * q_t;
  const distance_I_t = distance(64n * q_t - 1024n);
  const differs_I_t = least(1n, distance_I_t);
  const any_n_w_n_h_differs_I_t = any_n_w_n_h * differs_I_t;
  const B_q2 = q2 * B;
  const rounded_I_g = floorDivide(2n * q + 6n, 7n);
  const B_rounded_I_g2 = B * rounded_I_g * rounded_I_g;
  const B_C = C * B;
  const q2_differs_I_g = q2 * differs_I_g;
  const qt2_any_n_w_n_h = qt_any_n_w_n_h * q_t;
  const qt_any_n_w_n_h_differs_I_t = qt_any_n_w_n_h * differs_I_t;
  const B_q3 = B_q2 * q;
  const qt2_any_n_w_n_h_differs_I_t = qt2_any_n_w_n_h * differs_I_t;
  const B_q4 = B_q3 * q;
  const B_qt2_C = B_C * q_t * q_t;
  const rounded_I_t = floorDivide(2n * q_t + 6n, 7n);
  const B_C_rounded_I_t2 = B_C * rounded_I_t * rounded_I_t;
  const B_qt3_C = B_qt2_C * q_t;
  const B_qt4_C = B_qt3_C * q_t;

  const sam_matrix_flops =
    3145728n * B_qt4_C + 786432n * B_qt3_C + 3145728n * B_q4 + 2176843776n * B_qt2_C +
    8410300416n * B_C_rounded_I_t2 + 786432n * B_q3 + 2176843776n * B_q2 +
    8410300416n * B_rounded_I_g2;
  const sam_vector_flops =
    86016n * B_qt4_C + 86016n * B_q4 + 6373376n * B_qt2_C + 31836672n * B_C_rounded_I_t2 +
    393216n * qt2_any_n_w_n_h_differs_I_t + 6373376n * B_q2 + 31836672n * B_rounded_I_g2 +
    393216n * q2_differs_I_g + 16384n * qt_any_n_w_n_h_differs_I_t + 16384n * q_differs_I_g -
    2048n * any_n_w_n_h_differs_I_t - 2048n * differs_I_g;
  const sam_bytes_read =
    221184n * B_qt4_C + 12288n * B_qt3_C + 221184n * B_q4 + 6205440n * B_qt2_C +
    103563264n * B_C_rounded_I_t2 + 12288n * B_q3 + 73728n * qt2_any_n_w_n_h_differs_I_t +
    6205440n * B_q2 + 103563264n * B_rounded_I_g2 + 73728n * q2_differs_I_g +
    18432n * qt2_any_n_w_n_h + 8192n * qt_any_n_w_n_h_differs_I_t + 18432n * q2 +
    8192n * q_differs_I_g + 768n * qt_any_n_w_n_h + 12581888n * any_n_w_n_h_differs_I_t + 768n * q +
    12581888n * differs_I_g + 191595264n * any_n_w_n_h + 191595264n;
  const sam_bytes_written =
    221184n * B_qt4_C + 12288n * B_qt3_C + 221184n * B_q4 + 5203200n * B_qt2_C +
    101154816n * B_C_rounded_I_t2 + 12288n * B_q3 + 73728n * qt2_any_n_w_n_h_differs_I_t +
    5203200n * B_q2 + 101154816n * B_rounded_I_g2 + 73728n * q2_differs_I_g +
    18432n * qt2_any_n_w_n_h + 8192n * qt_any_n_w_n_h_differs_I_t + 18432n * q2 +
    8192n * q_differs_I_g + 768n * qt_any_n_w_n_h + 12581888n * any_n_w_n_h_differs_I_t + 768n * q +
    12581888n * differs_I_g + 456960n * any_n_w_n_h + 456960n;
  const sam_weight_bytes = 191138304n;
  const sam_activation_bytes = greatest(
    36864n * B_q4 + 24576n * B_qt2_C + 221184n * B_q2,
    36864n * B_qt4_C + 221184n * B_qt2_C + 31232n * B_q2,
    24576n * B_qt2_C + 49152n * B_q2 + 7639296n * B_rounded_I_g2,
    49152n * B_qt2_C + 7639296n * B_C_rounded_I_t2 + 31232n * B_q2
  );
  const sam_kv_bytes = 0n;
  const clip_matrix_flops =
    98304n * B_qt4_C + 98304n * B_q4 + 604176384n * B_qt2_C + 604176384n * B_q2 + 604078080n * B_C +
    604078080n * B;
  const clip_vector_flops =
    2304n * B_qt4_C + 2304n * B_q4 + 1217024n * B_qt2_C + 32768n * qt2_any_n_w_n_h_differs_I_t +
    1217024n * B_q2 + 1214720n * B_C + 32768n * q2_differs_I_g + 1214720n * B;
  const clip_bytes_read =
    5376n * B_qt4_C + 5376n * B_q4 + 1888768n * B_qt2_C + 6144n * qt2_any_n_w_n_h_differs_I_t +
    1888768n * B_q2 + 1877248n * B_C + 6144n * q2_differs_I_g + 2048n * qt2_any_n_w_n_h + 2048n * q2
    + 1048576n * any_n_w_n_h_differs_I_t + 1877248n * B + 1048576n * differs_I_g +
    605153280n * any_n_w_n_h + 605153280n;
  const clip_bytes_written =
    5376n * B_qt4_C + 5376n * B_q4 + 1495944n * B_qt2_C + 6144n * qt2_any_n_w_n_h_differs_I_t +
    1495944n * B_q2 + 1486472n * B_C + 6144n * q2_differs_I_g + 2048n * qt2_any_n_w_n_h + 2048n * q2
    + 1048576n * any_n_w_n_h_differs_I_t + 1486472n * B + 1048576n * differs_I_g +
    2048n * any_n_w_n_h + 2048n;
  const clip_weight_bytes = 606355456n;
  const clip_activation_bytes = greatest(
    32n * B_q4 + 24576n * B_qt2_C + 57408n * B_q2 + 30752n * B,
    160n * B_q4 + 24576n * B_qt2_C + 39232n * B_q2 + 12448n * B,
    32n * B_qt4_C + 57408n * B_qt2_C + 31232n * B_q2 + 30752n * B_C,
    160n * B_qt4_C + 39232n * B_qt2_C + 31232n * B_q2 + 12448n * B_C
  );
  const clip_kv_bytes = 0n;
  const projector_matrix_flops = 5242880n * B_qt2_C + 5242880n * B_q2;
  const projector_vector_flops = 1280n * B_qt2_C + 1280n * B_q2;
  const projector_bytes_read = 4096n * B_qt2_C + 4096n * B_q2 + 5245440n * any_n_w_n_h + 5245440n;
  const projector_bytes_written = 2560n * B_qt2_C + 2560n * B_q2;
  const projector_weight_bytes = 5245440n;
  const projector_activation_bytes = 31232n * B_qt2_C + 31232n * B_q2;
  const projector_kv_bytes = 0n;
  const sam_flops = sam_matrix_flops + sam_vector_flops;
  const sam_bytes_moved = sam_bytes_read + sam_bytes_written;
  const sam_resident_bytes = sam_activation_bytes + sam_weight_bytes;
  const clip_flops = clip_matrix_flops + clip_vector_flops;
  const clip_bytes_moved = clip_bytes_read + clip_bytes_written;
  const clip_resident_bytes = clip_activation_bytes + clip_weight_bytes;
  const projector_flops = projector_matrix_flops + projector_vector_flops;
  const projector_bytes_moved = projector_bytes_read + projector_bytes_written;
  const projector_resident_bytes = projector_weight_bytes + projector_activation_bytes;
  const matrix_flops = sam_matrix_flops + clip_matrix_flops + projector_matrix_flops;
  const vector_flops = sam_vector_flops + clip_vector_flops + projector_vector_flops;
  const bytes_read = sam_bytes_read + clip_bytes_read + projector_bytes_read;
  const bytes_written = sam_bytes_written + clip_bytes_written + projector_bytes_written;
  const weight_bytes = sam_weight_bytes + clip_weight_bytes + projector_weight_bytes;
  const activation_bytes = sam_activation_bytes;
  const kv_bytes = 0n;
  const flops = matrix_flops + vector_flops;
  const bytes_moved = bytes_read + bytes_written;
  const resident_bytes = activation_bytes + weight_bytes;

  return {
    flops,
    matrix_flops,
    vector_flops,
    bytes_read,
    bytes_written,
    bytes_moved,
    weight_bytes,
    activation_bytes,
    kv_bytes,
    resident_bytes,
    sam_flops,
    sam_matrix_flops,
    sam_vector_flops,
    sam_bytes_read,
    sam_bytes_written,
    sam_bytes_moved,
    sam_weight_bytes,
    sam_activation_bytes,
    sam_kv_bytes,
    sam_resident_bytes,
    clip_flops,
    clip_matrix_flops,
    clip_vector_flops,
    clip_bytes_read,
    clip_bytes_written,
    clip_bytes_moved,
    clip_weight_bytes,
    clip_activation_bytes,
    clip_kv_bytes,
    clip_resident_bytes,
    projector_flops,
    projector_matrix_flops,
    projector_vector_flops,
    projector_bytes_read,
    projector_bytes_written,
    projector_bytes_moved,
    projector_weight_bytes,
    projector_activation_bytes,
    projector_kv_bytes,
    projector_resident_bytes,
  };
}

/**
 * @typedef {object} PrefillFigures
 * @property {bigint} flops FLOPs
 * @property {bigint} matrix_flops FLOPs of the matrix engine, 2 per multiply-accumulate
 * @property {bigint} vector_flops FLOPs of everything else, at the documented cost per element
 * @property {bigint} bytes_read bytes that kernels read
 * @property {bigint} bytes_written bytes that kernels write
 * @property {bigint} bytes_moved bytes that kernels read and write
 * @property {bigint} weight_bytes bytes of resident weights
 * @property {bigint} activation_bytes peak bytes of live activations
 * @property {bigint} kv_bytes bytes of the KV cache after the stage
 * @property {bigint} resident_bytes bytes of weights, cache, gradients and peak activations
 *   together
 * @property {bigint} vision_flops vision: FLOPs
 * @property {bigint} vision_matrix_flops vision: FLOPs of the matrix engine, 2 per
 *   multiply-accumulate
 * @property {bigint} vision_vector_flops vision: FLOPs of everything else, at the documented cost
 *   per element
 * @property {bigint} vision_bytes_read vision: bytes that kernels read
 * @property {bigint} vision_bytes_written vision: bytes that kernels write
 * @property {bigint} vision_bytes_moved vision: bytes that kernels read and write
 * @property {bigint} vision_weight_bytes vision: bytes of resident weights
 * @property {bigint} vision_activation_bytes vision: peak bytes of live activations
 * @property {bigint} vision_kv_bytes vision: bytes of the KV cache after the stage
 * @property {bigint} vision_resident_bytes vision: bytes of weights, cache, gradients and peak
 *   activations together
 * @property {bigint} decoder_flops decoder: FLOPs
 * @property {bigint} decoder_matrix_flops decoder: FLOPs of the matrix engine, 2 per
 *   multiply-accumulate
 * @property {bigint} decoder_vector_flops decoder: FLOPs of everything else, at the documented cost
 *   per element
 * @property {bigint} decoder_bytes_read decoder: bytes that kernels read
 * @property {bigint} decoder_bytes_written decoder: bytes that kernels write
 * @property {bigint} decoder_bytes_moved decoder: bytes that kernels read and write
 * @property {bigint} decoder_weight_bytes decoder: bytes of resident weights
 * @property {bigint} decoder_activation_bytes decoder: peak bytes of live activations
 * @property {bigint} decoder_kv_bytes decoder: bytes of the KV cache after the stage
 * @property {bigint} decoder_resident_bytes decoder: bytes of weights, cache, gradients and peak
 *   activations together
 * @property {bigint} lm_head_flops lm_head: FLOPs
 * @property {bigint} lm_head_matrix_flops lm_head: FLOPs of the matrix engine, 2 per
 *   multiply-accumulate
 * @property {bigint} lm_head_vector_flops lm_head: FLOPs of everything else, at the documented cost
 *   per element
 * @property {bigint} lm_head_bytes_read lm_head: bytes that kernels read
 * @property {bigint} lm_head_bytes_written lm_head: bytes that kernels write
 * @property {bigint} lm_head_bytes_moved lm_head: bytes that kernels read and write
 * @property {bigint} lm_head_weight_bytes lm_head: bytes of resident weights
 * @property {bigint} lm_head_activation_bytes lm_head: peak bytes of live activations
 * @property {bigint} lm_head_kv_bytes lm_head: bytes of the KV cache after the stage
 * @property {bigint} lm_head_resident_bytes lm_head: bytes of weights, cache, gradients and peak
 *   activations together
 */

/**
 * Vision, the decoder on the whole context, and the head; of the S tokens I_g*(I_g/64 + 1)/64 +
 * I_t*n_h*(I_t*n_w/64 + 1)/64 + 1 are the image's.
 *
 * @param {object} sizes
 * @param {number|bigint} sizes.B batch: sequences in the call, one page image each [sequences]; a
 *   positive integer
 * @param {number|bigint} sizes.S tokens that the decoder gets per sequence in this call [tokens]; a
 *   positive integer
 * @param {number|bigint} sizes.I_g side of the global view (base_size) [pixels]; a positive
 *   multiple of 64
 * @param {number|bigint} sizes.I_t side of a tile (image_size) [pixels]; a positive multiple of 64
 * @param {number|bigint} sizes.n_w columns of the crop grid; 0 without crops [tiles]; a
 *   non-negative integer
 * @param {number|bigint} sizes.n_h rows of the crop grid; 0 without crops [tiles]; a non-negative
 *   integer
 * @returns {PrefillFigures}
 * @throws {RangeError} A size lies outside its domain; the message names it.
 */
export function prefill(sizes = {}) {
  const B = whole("B", sizes.B, 1n, 1n, "batch: sequences in the call, one page image each");
  const S = whole("S", sizes.S, 1n, 1n, "tokens that the decoder gets per sequence in this call");
  const I_g = whole("I_g", sizes.I_g, 1n, 64n, "side of the global view (base_size)");
  const I_t = whole("I_t", sizes.I_t, 1n, 64n, "side of a tile (image_size)");
  const n_w = whole("n_w", sizes.n_w, 0n, 1n, "columns of the crop grid; 0 without crops");
  const n_h = whole("n_h", sizes.n_h, 0n, 1n, "rows of the crop grid; 0 without crops");

  const q = I_g / 64n;
  const distance_I_g = distance(64n * q - 1024n);
  const differs_I_g = least(1n, distance_I_g);
  const C = n_h * n_w;
  const any_n_w_n_h = least(1n, C);
  const B_S = B * S;
  const least_B_S = least(194n, B_S);
  const table_1_B_S = TABLE_1[least_B_S];
  const table_2_B_S = TABLE_2[least_B_S];
  const B_q = B * q;
  const q2 = q * q;
  const q_differs_I_g = q * differs_I_g;
  const q_t = I_t / 64n;
  const qt_any_n_w_n_h = any_n_w_n_h * q_t;
  const distance_I_t = distance(64n * q_t - 1024n);
  const differs_I_t = least(1n, distance_I_t);
  const any_n_w_n_h_differs_I_t = any_n_w_n_h * differs_I_t;
  const B_q2 = B_q * q;
  const rounded_I_g = floorDivide(2n * q + 6n, 7n);
  const B_rounded_I_g2 = B * rounded_I_g * rounded_I_g;
  const B_qt_nh = B * q_t * n_h;
  const B_C = C * B;
  const B_S2 = B_S * S;
  const B_S_table_2_B_S = B_S * table_2_B_S;
  const q2_differs_I_g = q2 * differs_I_g;
  const qt2_any_n_w_n_h = qt_any_n_w_n_h * q_t;
  const qt_any_n_w_n_h_differs_I_t = qt_any_n_w_n_h * differs_I_t;
  const B_q3 = B_q2 * q;
  const qt2_any_n_w_n_h_differs_I_t = qt2_any_n_w_n_h * differs_I_t;
  const B_q4 = B_q3 * q;
  const B_qt2_C = B_C * q_t * q_t;
  const rounded_I_t = floorDivide(2n * q_t + 6n, 7n);
  const B_C_rounded_I_t2 = B_C * rounded_I_t * rounded_I_t;
  const B_qt3_C = B_qt2_C * q_t;
  const B_qt4_C = B_qt3_C * q_t;

  const vision_matrix_flops =
    3244032n * B_qt4_C + 786432n * B_qt3_C + 3244032n * B_q4 + 2786263040n * B_qt2_C +
    8410300416n * B_C_rounded_I_t2 + 786432n * B_q3 + 2786263040n * B_q2 +
    8410300416n * B_rounded_I_g2 + 604078080n * B_C + 604078080n * B;
  const vision_vector_flops =
    88320n * B_qt4_C + 88320n * B_q4 + 7591680n * B_qt2_C + 31836672n * B_C_rounded_I_t2 +
    425984n * qt2_any_n_w_n_h_differs_I_t + 7591680n * B_q2 + 31836672n * B_rounded_I_g2 +
    1214720n * B_C + 425984n * q2_differs_I_g + 16384n * qt_any_n_w_n_h_differs_I_t +
    16384n * q_differs_I_g - 2048n * any_n_w_n_h_differs_I_t + 1214720n * B - 2048n * differs_I_g;
  const vision_bytes_read =
    226560n * B_qt4_C + 12288n * B_qt3_C + 226560n * B_q4 + 8098304n * B_qt2_C +
    103563264n * B_C_rounded_I_t2 + 12288n * B_q3 + 79872n * qt2_any_n_w_n_h_differs_I_t +
    8098304n * B_q2 + 103563264n * B_rounded_I_g2 + 1877248n * B_C + 79872n * q2_differs_I_g +
    20480n * qt2_any_n_w_n_h + 8192n * qt_any_n_w_n_h_differs_I_t + 20480n * q2 +
    8192n * q_differs_I_g + 768n * qt_any_n_w_n_h + 13630464n * any_n_w_n_h_differs_I_t +
    1877248n * B + 768n * q + 13630464n * differs_I_g + 801993984n * any_n_w_n_h + 801993984n;
  const vision_bytes_written =
    226560n * B_qt4_C + 12288n * B_qt3_C + 226560n * B_q4 + 6701704n * B_qt2_C +
    101154816n * B_C_rounded_I_t2 + 12288n * B_q3 + 79872n * qt2_any_n_w_n_h_differs_I_t +
    6701704n * B_q2 + 101154816n * B_rounded_I_g2 + 1486472n * B_C + 79872n * q2_differs_I_g +
    20480n * qt2_any_n_w_n_h + 8192n * qt_any_n_w_n_h_differs_I_t + 20480n * q2 +
    8192n * q_differs_I_g + 768n * qt_any_n_w_n_h + 13630464n * any_n_w_n_h_differs_I_t +
    1486472n * B + 768n * q + 13630464n * differs_I_g + 459008n * any_n_w_n_h + 459008n;
  const vision_weight_bytes = 802739200n;
  const vision_activation_bytes = greatest(
    36864n * B_q4 + 24576n * B_qt2_C + 221184n * B_q2,
    36864n * B_qt4_C + 221184n * B_qt2_C + 31232n * B_q2,
    24576n * B_qt2_C + 49152n * B_q2 + 7639296n * B_rounded_I_g2,
    49152n * B_qt2_C + 7639296n * B_C_rounded_I_t2 + 31232n * B_q2
  );
  const vision_kv_bytes = 0n;
  const decoder_matrix_flops = 61440n * B_S2 + 817233920n * B_S + 1536n * S;
  const decoder_vector_flops = 720n * B_S2 + 967796n * B_S + 6144n * S;
  const decoder_bytes_read =
    12800n * B_qt2_C + 10240n * B_q2 + 7680n * B_qt_nh + 1680n * B_S2 + 528n * B_S_table_2_B_S +
    7680n * B_q + 3592917n * B_S + 5120n * B + 2560n * any_n_w_n_h + 52368n * S + 66n * table_1_B_S
    + 363n * table_2_B_S + 366752723n;
  const decoder_bytes_written =
    10240n * B_qt2_C + 7680n * B_q2 + 7680n * B_qt_nh + 1680n * B_S2 + 7680n * B_q + 3051157n * B_S
    + 5120n * B + 39984n * S + 99n * table_2_B_S + 3611091n;
  const decoder_weight_bytes = 5538516480n;
  const decoder_activation_bytes = greatest(
    7680n * B_qt2_C + 7680n * B_q2 + 5120n * B_qt_nh + 5120n * B_q + 5129n * B_S + 5120n * B +
      8n * S + 256n,
    5120n * B_qt2_C + 5120n * B_q2 + 2560n * B_qt_nh + 20n * B_S2 + 2560n * B_q + 15624n * B_S +
      2560n * B + 8n * S + 327936n,
    5120n * B_qt2_C + 5120n * B_q2 + 2560n * B_qt_nh + 20n * B_S2 + 2560n * B_q + 53680n * B_S +
      2560n * B + 8n * S + 256n,
    5120n * B_qt2_C + 5120n * B_q2 + 2560n * B_qt_nh + 100n * B_S2 + 2560n * B_q + 10248n * B_S +
      2560n * B + 8n * S + 256n
  );
  const decoder_kv_bytes = 61440n * B_S;
  const lm_head_matrix_flops = 330956800n * B_S;
  const lm_head_vector_flops = 0n;
  const lm_head_bytes_read = 2560n * B_S + 330956800n;
  const lm_head_bytes_written = 258560n * B_S;
  const lm_head_weight_bytes = 330956800n;
  const lm_head_activation_bytes = 261120n * B_S;
  const lm_head_kv_bytes = 0n;
  const vision_flops = vision_matrix_flops + vision_vector_flops;
  const vision_bytes_moved = vision_bytes_read + vision_bytes_written;
  const vision_resident_bytes = vision_activation_bytes + vision_weight_bytes;
  const decoder_flops = decoder_matrix_flops + decoder_vector_flops;
  const decoder_bytes_moved = decoder_bytes_read + decoder_bytes_written;
  const decoder_resident_bytes = decoder_activation_bytes + decoder_weight_bytes + decoder_kv_bytes;
  const lm_head_flops = lm_head_matrix_flops;
  const lm_head_bytes_moved = lm_head_bytes_read + lm_head_bytes_written;
  const lm_head_resident_bytes = lm_head_weight_bytes + lm_head_activation_bytes;
  const matrix_flops = vision_matrix_flops + decoder_matrix_flops + lm_head_matrix_flops;
  const vector_flops = vision_vector_flops + decoder_vector_flops;
  const bytes_read = vision_bytes_read + decoder_bytes_read + lm_head_bytes_read;
  const bytes_written = vision_bytes_written + decoder_bytes_written + lm_head_bytes_written;
  const weight_bytes = vision_weight_bytes + decoder_weight_bytes + lm_head_weight_bytes;
  const activation_bytes = greatest(
    261120n * B_S,
    36864n * B_q4 + 24576n * B_qt2_C + 221184n * B_q2,
    36864n * B_qt4_C + 221184n * B_qt2_C + 31232n * B_q2,
    24576n * B_qt2_C + 49152n * B_q2 + 7639296n * B_rounded_I_g2,
    49152n * B_qt2_C + 7639296n * B_C_rounded_I_t2 + 31232n * B_q2,
    5120n * B_qt2_C + 5120n * B_q2 + 2560n * B_qt_nh + 20n * B_S2 + 2560n * B_q + 15624n * B_S +
      2560n * B + 8n * S + 327936n,
    5120n * B_qt2_C + 5120n * B_q2 + 2560n * B_qt_nh + 20n * B_S2 + 2560n * B_q + 53680n * B_S +
      2560n * B + 8n * S + 256n,
    5120n * B_qt2_C + 5120n * B_q2 + 2560n * B_qt_nh + 100n * B_S2 + 2560n * B_q + 10248n * B_S +
      2560n * B + 8n * S + 256n
  );
  const kv_bytes = decoder_kv_bytes;
  const flops = matrix_flops + vector_flops;
  const bytes_moved = bytes_read + bytes_written;
  const resident_bytes = activation_bytes + weight_bytes + kv_bytes;

  return {
    flops,
    matrix_flops,
    vector_flops,
    bytes_read,
    bytes_written,
    bytes_moved,
    weight_bytes,
    activation_bytes,
    kv_bytes,
    resident_bytes,
    vision_flops,
    vision_matrix_flops,
    vision_vector_flops,
    vision_bytes_read,
    vision_bytes_written,
    vision_bytes_moved,
    vision_weight_bytes,
    vision_activation_bytes,
    vision_kv_bytes,
    vision_resident_bytes,
    decoder_flops,
    decoder_matrix_flops,
    decoder_vector_flops,
    decoder_bytes_read,
    decoder_bytes_written,
    decoder_bytes_moved,
    decoder_weight_bytes,
    decoder_activation_bytes,
    decoder_kv_bytes,
    decoder_resident_bytes,
    lm_head_flops,
    lm_head_matrix_flops,
    lm_head_vector_flops,
    lm_head_bytes_read,
    lm_head_bytes_written,
    lm_head_bytes_moved,
    lm_head_weight_bytes,
    lm_head_activation_bytes,
    lm_head_kv_bytes,
    lm_head_resident_bytes,
  };
}

/**
 * @typedef {object} DecodeFigures
 * @property {bigint} flops FLOPs
 * @property {bigint} matrix_flops FLOPs of the matrix engine, 2 per multiply-accumulate
 * @property {bigint} vector_flops FLOPs of everything else, at the documented cost per element
 * @property {bigint} bytes_read bytes that kernels read
 * @property {bigint} bytes_written bytes that kernels write
 * @property {bigint} bytes_moved bytes that kernels read and write
 * @property {bigint} weight_bytes bytes of resident weights
 * @property {bigint} activation_bytes peak bytes of live activations
 * @property {bigint} kv_bytes bytes of the KV cache after the stage
 * @property {bigint} resident_bytes bytes of weights, cache, gradients and peak activations
 *   together
 * @property {bigint} decoder_flops decoder: FLOPs
 * @property {bigint} decoder_matrix_flops decoder: FLOPs of the matrix engine, 2 per
 *   multiply-accumulate
 * @property {bigint} decoder_vector_flops decoder: FLOPs of everything else, at the documented cost
 *   per element
 * @property {bigint} decoder_bytes_read decoder: bytes that kernels read
 * @property {bigint} decoder_bytes_written decoder: bytes that kernels write
 * @property {bigint} decoder_bytes_moved decoder: bytes that kernels read and write
 * @property {bigint} decoder_weight_bytes decoder: bytes of resident weights
 * @property {bigint} decoder_activation_bytes decoder: peak bytes of live activations
 * @property {bigint} decoder_kv_bytes decoder: bytes of the KV cache after the stage
 * @property {bigint} decoder_resident_bytes decoder: bytes of weights, cache, gradients and peak
 *   activations together
 * @property {bigint} lm_head_flops lm_head: FLOPs
 * @property {bigint} lm_head_matrix_flops lm_head: FLOPs of the matrix engine, 2 per
 *   multiply-accumulate
 * @property {bigint} lm_head_vector_flops lm_head: FLOPs of everything else, at the documented cost
 *   per element
 * @property {bigint} lm_head_bytes_read lm_head: bytes that kernels read
 * @property {bigint} lm_head_bytes_written lm_head: bytes that kernels write
 * @property {bigint} lm_head_bytes_moved lm_head: bytes that kernels read and write
 * @property {bigint} lm_head_weight_bytes lm_head: bytes of resident weights
 * @property {bigint} lm_head_activation_bytes lm_head: peak bytes of live activations
 * @property {bigint} lm_head_kv_bytes lm_head: bytes of the KV cache after the stage
 * @property {bigint} lm_head_resident_bytes lm_head: bytes of weights, cache, gradients and peak
 *   activations together
 */

/**
 * T steps behind K cached tokens, together.
 *
 * @param {object} sizes
 * @param {number|bigint} sizes.B batch: sequences in the call, one page image each [sequences]; a
 *   positive integer
 * @param {number|bigint} sizes.K tokens per sequence that are cached already [tokens]; a
 *   non-negative integer
 * @param {number|bigint} sizes.T tokens to generate per sequence [tokens]; a positive integer
 * @returns {DecodeFigures}
 * @throws {RangeError} A size lies outside its domain; the message names it.
 */
export function decode(sizes = {}) {
  const B = whole("B", sizes.B, 1n, 1n, "batch: sequences in the call, one page image each");
  const K = whole("K", sizes.K, 0n, 1n, "tokens per sequence that are cached already");
  const T = whole("T", sizes.T, 1n, 1n, "tokens to generate per sequence");

  const B_T = B * T;
  const B_K = B * K;
  const least_B = least(194n, B);
  const table_2_B = TABLE_2[least_B];
  const T_table_2_B = T * table_2_B;
  const table_1_B = TABLE_1[least_B];
  const T_table_1_B = T * table_1_B;
  const B_T2 = B_T * T;
  const B_T_K = B_T * K;
  const B_T_table_2_B = B_T * table_2_B;

  const decoder_matrix_flops = 30720n * B_T2 + 61440n * B_T_K + 817264640n * B_T + 1536n * T;
  const decoder_vector_flops = 360n * B_T2 + 720n * B_T_K + 968156n * B_T + 6144n * T;
  const decoder_bytes_read =
    62280n * B_T2 + 124560n * B_T_K + 528n * B_T_table_2_B + 3529748n * B_T + 363n * T_table_2_B +
    66n * T_table_1_B + 366799971n * T;
  const decoder_bytes_written =
    31560n * B_T2 + 63120n * B_T_K + 3018716n * B_T + 99n * T_table_2_B + 3651075n * T;
  const decoder_weight_bytes = 5538511360n;
  const decoder_activation_bytes = greatest(
    20n * B_T + 20n * B_K + 15624n * B + 327944n,
    20n * B_T + 20n * B_K + 53680n * B + 264n,
    2560n * B_T + 2560n * B_K + 12808n * B + 264n
  );
  const decoder_kv_bytes = 61440n * B_T + 61440n * B_K;
  const lm_head_matrix_flops = 330956800n * B_T;
  const lm_head_vector_flops = 0n;
  const lm_head_bytes_read = 2560n * B_T + 330956800n * T;
  const lm_head_bytes_written = 258560n * B_T;
  const lm_head_weight_bytes = 330956800n;
  const lm_head_activation_bytes = 261120n * B;
  const lm_head_kv_bytes = 0n;
  const decoder_flops = decoder_matrix_flops + decoder_vector_flops;
  const decoder_bytes_moved = decoder_bytes_read + decoder_bytes_written;
  const decoder_resident_bytes = decoder_activation_bytes + decoder_weight_bytes + decoder_kv_bytes;
  const lm_head_flops = lm_head_matrix_flops;
  const lm_head_bytes_moved = lm_head_bytes_read + lm_head_bytes_written;
  const lm_head_resident_bytes = lm_head_weight_bytes + lm_head_activation_bytes;
  const matrix_flops = decoder_matrix_flops + lm_head_matrix_flops;
  const vector_flops = decoder_vector_flops;
  const bytes_read = decoder_bytes_read + lm_head_bytes_read;
  const bytes_written = decoder_bytes_written + lm_head_bytes_written;
  const weight_bytes = decoder_weight_bytes + lm_head_weight_bytes;
  const activation_bytes = greatest(
    261120n * B,
    20n * B_T + 20n * B_K + 15624n * B + 327944n,
    2560n * B_T + 2560n * B_K + 12808n * B + 264n
  );
  const kv_bytes = decoder_kv_bytes;
  const flops = matrix_flops + vector_flops;
  const bytes_moved = bytes_read + bytes_written;
  const resident_bytes = activation_bytes + weight_bytes + kv_bytes;

  return {
    flops,
    matrix_flops,
    vector_flops,
    bytes_read,
    bytes_written,
    bytes_moved,
    weight_bytes,
    activation_bytes,
    kv_bytes,
    resident_bytes,
    decoder_flops,
    decoder_matrix_flops,
    decoder_vector_flops,
    decoder_bytes_read,
    decoder_bytes_written,
    decoder_bytes_moved,
    decoder_weight_bytes,
    decoder_activation_bytes,
    decoder_kv_bytes,
    decoder_resident_bytes,
    lm_head_flops,
    lm_head_matrix_flops,
    lm_head_vector_flops,
    lm_head_bytes_read,
    lm_head_bytes_written,
    lm_head_bytes_moved,
    lm_head_weight_bytes,
    lm_head_activation_bytes,
    lm_head_kv_bytes,
    lm_head_resident_bytes,
  };
}

/** A size as a BigInt; one outside its domain is refused. */
function whole(name, value, minimum, multiple, meaning) {
  const size = Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof size !== "bigint" || size < minimum || size % multiple !== 0n) {
    const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
    const of = multiple > 1n ? `, a multiple of ${multiple}` : "";
    const least = `of at least ${minimum}${of}`;
    throw new RangeError(
      `${name} (${meaning}) is ${shown}; allowed: a safe integer or a BigInt ${least}`,
    );
  }
  return size;
}

function least(...values) {
  return values.reduce((one, other) => (other < one ? other : one));
}

function greatest(...values) {
  return values.reduce((one, other) => (other > one ? other : one));
}

function distance(value) {
  return value < 0n ? -value : value;
}

function floorDivide(value, by) {
  return value / by - (value % by < 0n ? 1n : 0n);
}
