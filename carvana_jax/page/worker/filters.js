// Filters of one channel, as OpenCV has them.
const filters = (() => {
  // How pixels beyond the edge are made up.
  const MIRRORED = (x, length) => {
    if (length === 1) return 0;
    while (x < 0 || x >= length) x = x < 0 ? -x : 2 * (length - 1) - x;
    return x;
  };
  const REPEATED = (x, length) => pictures.clip(x, 0, length - 1);

  // A kernel of a Gaussian, of an odd size.
  function gaussianKernel(size, sigma) {
    const found = new Float64Array(size);
    for (let k = 0; k < size; k++) {
      found[k] = Math.exp(-((k - (size - 1) / 2) ** 2) / (2 * sigma * sigma));
    }
    const sum = found.reduce((a, b) => a + b);
    return Float32Array.from(found, (x) => x / sum);
  }

  // Size of a kernel that leaves out next to nothing of a Gaussian.
  const gaussianSize = (sigma) => pictures.rint(sigma * 8 + 1) | 1;

  // Weighs with one kernel across and with another down.
  function separable({data, height, width}, across, down, edge) {
    const rows = new Float32Array(data.length);
    const middle = across.length >> 1;
    for (let y = 0; y < height; y++) {
      const start = y * width;
      for (let x = 0; x < width; x++) {
        const inside = x >= middle && x < width - middle;
        let sum = 0;
        for (let k = 0; k < across.length; k++) {
          const from = x + k - middle;
          sum += across[k] * data[start + (inside ? from : edge(from, width))];
        }
        rows[start + x] = sum;
      }
    }
    const found = new Float32Array(data.length);
    const half = down.length >> 1;
    const sums = new Float64Array(width);
    for (let y = 0; y < height; y++) {
      sums.fill(0);
      for (let k = 0; k < down.length; k++) {
        const start = edge(y + k - half, height) * width, weight = down[k];
        for (let x = 0; x < width; x++) sums[x] += weight * rows[start + x];
      }
      found.set(sums, y * width);
    }
    return pictures.of(found, height, width);
  }

  // How steep a picture is, by Scharr's kernels.
  function slope(picture) {
    const step = [-1, 0, 1], smooth = [3 / 32, 10 / 32, 3 / 32];
    const {data} = separable(picture, step, smooth, MIRRORED);
    const other = separable(picture, smooth, step, MIRRORED).data;
    for (let i = 0; i < data.length; i++) {
      data[i] = Math.sqrt(data[i] * data[i] + other[i] * other[i]);
    }
    return data;
  }

  // Means over squares of so many pixels a side.
  function means({data, height, width}, side) {
    const half = side >> 1;
    const rows = new Float64Array(data.length);
    for (let y = 0; y < height; y++) {
      runningSums((x) => data[y * width + x], width, half, (x, sum) => {
        rows[y * width + x] = sum;
      });
    }
    const found = new Float32Array(data.length);
    for (let x = 0; x < width; x++) {
      runningSums((y) => rows[y * width + x], height, half, (y, sum) => {
        found[y * width + x] = sum / (side * side);
      });
    }
    return found;
  }

  function runningSums(read, length, half, write) {
    let sum = 0;
    for (let k = -half; k <= half; k++) sum += read(MIRRORED(k, length));
    for (let x = 0; x < length; x++) {
      write(x, sum);
      sum += read(MIRRORED(x + half + 1, length))
        - read(MIRRORED(x - half, length));
    }
  }

  // The least or the largest of the pixels around, `half` of them to each side;
  // what lies beyond the edge does not count.
  const erode = (picture, half) => extreme(picture, square(half), false);
  const dilate = (picture, half) => extreme(picture, square(half), true);

  // Dilates and erodes by rows of so many pixels to each side of the middle.
  const close = (picture, rows) =>
    extreme(extreme(picture, rows, true), rows, false).data;

  const square = (half) => new Array(2 * half + 1).fill(half);

  function extreme({data, height, width}, rows, largest) {
    const half = rows.length >> 1;
    // Rows of one reach are gone through once for all rows of the kernel.
    const lines = new Map(rows.map((reach) => [reach, null]));
    for (const reach of lines.keys()) {
      lines.set(reach, acrossRows(data, height, width, reach, largest));
    }
    const found = lines.get(rows[half]).slice();
    for (let k = 0; k < rows.length; k++) {
      const line = lines.get(rows[k]);
      const first = Math.max(half - k, 0) * width;
      const last = Math.min(height + half - k, height) * width;
      take(found, line, first, last, (k - half) * width, largest);
    }
    return pictures.of(found, height, width);
  }

  function acrossRows(data, height, width, reach, largest) {
    const found = data.slice();
    for (let y = 0; y < height; y++) {
      const start = y * width, end = start + width;
      for (let k = 1; k <= reach; k++) {
        take(found, data, start + k, end, -k, largest);
        take(found, data, start, end - k, k, largest);
      }
    }
    return found;
  }

  // Takes over what is larger, or less, from so many pixels on.
  function take(found, data, first, last, offset, largest) {
    for (let at = first; at < last; at++) {
      const value = data[at + offset];
      if (largest ? value > found[at] : value < found[at]) found[at] = value;
    }
  }

  return {
    MIRRORED, REPEATED, gaussianKernel, gaussianSize, separable, slope, means,
    erode, dilate, close,
  };
})();
