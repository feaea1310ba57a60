// Pictures: {data, height, width, channels}, rows from the top, with `data` a
// Uint8Array (or Float32Array) of height * width * channels values.
const pictures = (() => {
  const MAGIC = 1.5 * 2 ** 52;

  // Rounds to the nearest integer, halves to the even one, as processors do.
  const rint = (value) => (value + MAGIC) - MAGIC;

  const clip = (value, low, high) => Math.min(Math.max(value, low), high);

  const of = (data, height, width, channels = 1) =>
    ({data, height, width, channels});

  const empty = (height, width, channels = 1) =>
    of(new Uint8Array(height * width * channels), height, width, channels);

  // The picture that a part of another one shows.
  function crop(picture, {top, left, bottom, right}) {
    const {channels} = picture;
    const length = (right - left) * channels;
    const data = new picture.data.constructor((bottom - top) * length);
    for (let y = top; y < bottom; y++) {
      const start = (y * picture.width + left) * channels;
      const row = picture.data.subarray(start, start + length);
      data.set(row, (y - top) * length);
    }
    return of(data, bottom - top, right - left, channels);
  }

  // Lays a smaller picture over a part of another one.
  function paste(picture, {top, left}, patch) {
    const length = patch.width * patch.channels;
    for (let y = 0; y < patch.height; y++) {
      const row = patch.data.subarray(y * length, (y + 1) * length);
      const start = ((top + y) * picture.width + left) * picture.channels;
      picture.data.set(row, start);
    }
  }

  // The part of a picture that holds all pixels that are not 0, and a margin
  // around them; null where all are 0.
  function around({data, height, width}, margin) {
    let top = height, left = width, bottom = 0, right = 0;
    for (let y = 0; y < height; y++) {
      for (let x = 0, at = y * width; x < width; x++, at++) {
        if (!data[at]) continue;
        if (y < top) top = y;
        bottom = y + 1;
        if (x < left) left = x;
        if (x >= right) right = x + 1;
      }
    }
    return bottom ? {
      top: Math.max(top - margin, 0),
      left: Math.max(left - margin, 0),
      bottom: Math.min(bottom + margin, height),
      right: Math.min(right + margin, width),
    } : null;
  }

  return {rint, clip, of, empty, crop, paste, around};
})();
