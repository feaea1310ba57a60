// From a network's logits to a photo's mask; see masks/from_logits.py.
const fromLogits = (() => {
  const HALF = 128, STEPS = 16, LEAST = 0.001;

  // Enlarges logits to a photo's size, and turns them into levels.
  function levels(logits, height, width) {
    const found = pictures.empty(height, width);
    resizing.linearRows(logits, height, width, (row, y) => {
      for (let x = 0, at = y * width; x < width; x++, at++) {
        const level = pictures.rint(
          Math.fround(STEPS * row[x] + (HALF - 0.5)));
        // What is not finite is 0.
        found.data[at] = level > 0 ? Math.min(level, 255) : 0;
      }
    });
    return found;
  }

  // The mask, 0 or 1: levels from one on, cleaned.
  function mask({data, height, width}, level, cleaningWay) {
    const found = pictures.empty(height, width);
    for (let i = 0; i < data.length; i++) found.data[i] = data[i] >= level;
    return cleaning.clean(found, cleaningWay);
  }

  // Whether a mask shows nothing, or a speck at most.
  function isEmpty({data}) {
    let count = 0;
    for (let i = 0; i < data.length; i++) count += data[i];
    return count < LEAST * data.length;
  }

  return {levels, mask, isEmpty};
})();
