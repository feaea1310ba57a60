// Where a photo lies in the picture that a network is given; see
// datasets/fitting.py.
const fitting = (() => {
  const ALIKE = 1.02;

  // Returns the part of a picture of [height, width] that a photo fills; null
  // where it is all of the picture.
  function place(photo, [height, width], fit) {
    if (fit === 'stretch') return null;
    const down = height / photo.height, across = width / photo.width;
    const scale = Math.min(down, across);
    if (Math.max(down, across) <= ALIKE * scale) return null;
    const inner = (length, most) =>
      Math.max(1, Math.min(most, pictures.rint(scale * length)));
    const rows = inner(photo.height, height);
    const columns = inner(photo.width, width);
    const top = (height - rows) >> 1, left = (width - columns) >> 1;
    return {top, left, bottom: top + rows, right: left + columns};
  }

  // Brings a photo to the picture's size; its edges are repeated around it.
  function reduce(photo, [height, width], part) {
    if (!part) return resizing.reduce(photo, height, width);
    const {top, left, bottom, right} = part;
    const small = resizing.reduce(photo, bottom - top, right - left);
    const {channels} = photo;
    const found = pictures.empty(height, width, channels);
    for (let y = 0, at = 0; y < height; y++) {
      const row = pictures.clip(y - top, 0, small.height - 1);
      for (let x = 0; x < width; x++) {
        const column = pictures.clip(x - left, 0, small.width - 1);
        const from = (row * small.width + column) * channels;
        for (let c = 0; c < channels; c++, at++) {
          found.data[at] = small.data[from + c];
        }
      }
    }
    return found;
  }

  return {place, reduce};
})();
