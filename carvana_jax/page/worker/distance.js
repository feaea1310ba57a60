// Distances to pixels of a mask, 0 and 1; see masks/distance.py.
const distance = (() => {
  const ONE = 1 << 16;
  const STEP = ONE;
  const CORNER = Math.round(1.4 * ONE), KNIGHT = Math.round(2.1969 * ONE);
  const FAR = 0x3fffffff;  // where there is nothing to measure to

  // To the line that a mask's border runs on, positive inside (Borgefors 1986).
  function signed({data, height, width}) {
    const inside = to(data, height, width, 0);
    const outside = to(data, height, width, 1);
    for (let i = 0; i < data.length; i++) {
      inside[i] = data[i] ? inside[i] - 0.5 : 0.5 - outside[i];
    }
    return inside;
  }

  // On the floor, where a row counts as two columns.
  function onFloor({data, height, width}) {
    const tall = new Uint8Array(2 * data.length);
    for (let y = 0; y < height; y++) {
      const row = data.subarray(y * width, (y + 1) * width);
      tall.set(row, 2 * y * width);
      tall.set(row, (2 * y + 1) * width);
    }
    const all = to(tall, 2 * height, width, 1);
    const found = new Float32Array(data.length);
    for (let y = 0; y < height; y++) {
      const start = 2 * y * width;
      found.set(all.subarray(start, start + width), y * width);
    }
    return found;
  }

  // To the nearest pixel of one value, in two passes over 5x5 pixels.
  function to(data, height, width, value) {
    const row = width + 4;
    const found = new Int32Array((height + 4) * row).fill(FAR);
    const steps = [
      [-1, STEP], [-row, STEP], [-row - 1, CORNER], [-row + 1, CORNER],
      [-row - 2, KNIGHT], [-row + 2, KNIGHT], [-2 * row - 1, KNIGHT],
      [-2 * row + 1, KNIGHT],
    ];
    const [a, b, c, d, e, f, g, h] = steps.map(([offset]) => offset);
    const nearest = (at, sign) => Math.min(
      found[at + sign * a] + STEP, found[at + sign * b] + STEP,
      found[at + sign * c] + CORNER, found[at + sign * d] + CORNER,
      found[at + sign * e] + KNIGHT, found[at + sign * f] + KNIGHT,
      found[at + sign * g] + KNIGHT, found[at + sign * h] + KNIGHT);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = (y + 2) * row + x + 2;
        found[at] = data[y * width + x] === value ? 0 : nearest(at, 1);
      }
    }
    const result = new Float32Array(data.length);
    for (let y = height - 1; y >= 0; y--) {
      for (let x = width - 1; x >= 0; x--) {
        const at = (y + 2) * row + x + 2;
        if (found[at] > STEP) {
          found[at] = Math.min(found[at], nearest(at, -1));
        }
        result[y * width + x] = found[at] / ONE;
      }
    }
    return result;
  }

  return {signed, onFloor};
})();
