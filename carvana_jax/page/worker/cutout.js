// An object without its background: soft border, clean colours; see
// masks/cutout.py, which says why.
const cutout = (() => {
  const REACH = 4;
  const {clip, rint} = pictures;

  // The opacity, 0..255, of the object that a mask shows; `level` is the one
  // from which on pixels are object.
  function alpha(levels, mask, level) {
    const found = pictures.empty(mask.height, mask.width);
    const part = pictures.around(mask, 4);
    if (!part) return found;
    const near = pictures.crop(mask, part);
    const nearest = distance.signed(near);
    const ramp = toContour(pictures.crop(levels, part), level);
    const opacity = pictures.empty(near.height, near.width);
    for (let i = 0; i < ramp.length; i++) {
      const value = clip(ramp[i], nearest[i] - 0.49, nearest[i] + 0.49);
      opacity.data[i] = rint(127.5 + 127.5 * clip(value, -1, 1));
    }
    pictures.paste(found, part, opacity);
    return found;
  }

  // The signed distance to where levels cross one, to first order.
  function toContour(levels, level) {
    const kernel = filters.gaussianKernel(5, 1);
    const smooth = filters.separable(levels, kernel, kernel, filters.MIRRORED);
    const slope = filters.slope(smooth);
    for (let i = 0; i < slope.length; i++) {
      slope[i] = (smooth.data[i] + 0.5 - level) / Math.max(slope[i], 1e-3);
    }
    return slope;
  }

  // Changes a photo's colours to the object's own where it is mixed with the
  // background. The photo has four channels, of which the last does not count.
  function decontaminate(photo, alpha) {
    const part = pictures.around(alpha, REACH);
    if (!part) return;
    const near = pictures.crop(photo, part);
    const opacity = pictures.crop(alpha, part);
    const {height, width} = near;
    const solid = opacity.data.map((x) => x === 255);
    const clear = opacity.data.map((x) => x === 0);
    const inner = pictures.of(solid, height, width);
    const outer = pictures.of(clear, height, width);
    // Pure pixels at the border count only where there are no others.
    const core = filters.erode(inner, 1), far = filters.erode(outer, 1);
    const car = [0, 0, 0], background = [0, 0, 0];
    const changed = new Uint8Array(near.data);
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0; x < width; x++, at++) {
        if (clear[at] || core.data[at]) continue;
        meanNear(near, core.data, solid, y, x, car);
        meanNear(near, far.data, clear, y, x, background);
        unmix(near.data, changed, 4 * at, car, background);
      }
    }
    pictures.paste(photo, part, pictures.of(changed, height, width, 4));
  }

  function unmix(data, changed, at, car, background) {
    let along = 0, length = 0;
    for (let c = 0; c < 3; c++) {
      const between = car[c] - background[c];
      along += (data[at + c] - background[c]) * between;
      length += between * between;
    }
    // By where the pixel lies on the line from one mean to the other.
    const rest = 1 - clip(along / Math.max(length, 1), 0, 1);
    for (let c = 0; c < 3; c++) {
      const colour = data[at + c] + rest * (car[c] - background[c]);
      changed[at + c] = rint(clip(colour, 0, 255));
    }
  }

  // The mean colour of the pixels around that are among `best`, else among
  // `others`; the pixel's own where there are none.
  function meanNear({data, height, width}, best, others, y, x, mean) {
    const top = Math.max(y - REACH, 0), left = Math.max(x - REACH, 0);
    const bottom = Math.min(y + REACH, height - 1);
    const right = Math.min(x + REACH, width - 1);
    for (const pixels of [best, others]) {
      let count = 0, red = 0, green = 0, blue = 0;
      for (let row = top; row <= bottom; row++) {
        for (let column = left; column <= right; column++) {
          const at = row * width + column;
          if (!pixels[at]) continue;
          count++;
          red += data[4 * at];
          green += data[4 * at + 1];
          blue += data[4 * at + 2];
        }
      }
      if (count) {
        mean[0] = red / count;
        mean[1] = green / count;
        mean[2] = blue / count;
        return;
      }
    }
    for (let c = 0; c < 3; c++) mean[c] = data[4 * (y * width + x) + c];
  }

  // Joins colours and opacity; it is black where nothing of the object is near.
  function cutOut(colours, alpha) {
    const {height, width} = alpha;
    const beside = filters.dilate(alpha, 1).data;
    const found = pictures.empty(height, width, 4);
    for (let i = 0; i < beside.length; i++) {
      if (!beside[i]) continue;
      found.data[4 * i] = colours.data[4 * i];
      found.data[4 * i + 1] = colours.data[4 * i + 1];
      found.data[4 * i + 2] = colours.data[4 * i + 2];
      found.data[4 * i + 3] = alpha.data[i];
    }
    return found;
  }

  return {alpha, decontaminate, cutOut};
})();
