/* From a page to tiles and tokens: symcost.models.deepseek_ocr.geometry in JavaScript. */

/** Columns and rows of tiles of a page, as the model's own code chooses them; 0 × 0 for none. */
export function cropGrid(width, height, { size, least, most }) {
  if (width <= size && height <= size) return [0, 0];
  let best = [1, 1];
  let smallest = Infinity;
  for (let count = least; count <= most; count++) {
    for (let columns = 1; columns <= count; columns++) {
      if (count % columns) continue;
      const rows = count / columns;
      const difference = Math.abs(width / height - columns / rows);
      const larger = 2 * width * height > size * size * count;
      if (difference < smallest || (difference === smallest && larger)) {
        best = [columns, rows];
        smallest = difference;
      }
    }
  }
  return best;
}

/** Tokens of the sequence that a page takes, newlines and separator included. */
export function imageTokens({ base, tile, columns, rows }, step) {
  const [q, t] = [base / step, tile / step];
  return q * (q + 1n) + 1n + (t * columns + 1n) * t * rows;
}

