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
  function erode({data, height, width}, half) {
    return extreme(data, height, width, square(half), Math.min);
  }

  function dilate({data, height, width}, half) {
    return extreme(data, height, width, square(half), Math.max);
  }

  // Dilates and erodes with rows of so many pixels to each side of the middle.
  function close({data, height, width}, rows) {
    const wide = extreme(data, height, width, rows, Math.max);
    return extreme(wide.data, height, width, rows, Math.min).data;
  }

  const square = (half) => new Array(2 * half + 1).fill(half);

  function extreme(data, height, width, rows, choose) {
    const found = new data.constructor(data.length);
    const half = rows.length >> 1;
    const none = choose();  // which any other value replaces
    // Rows of one width are gone through once for all rows of the kernel.
    const lines = new Map([...new Set(rows)].map((reach) =>
      [reach, acrossRows(data, height, width, reach, choose)]));
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        let value = none;
        for (let k = 0; k < rows.length; k++) {
          const from = y + k - half;
          if (from < 0 || from >= height) continue;
          value = choose(value, lines.get(rows[k])[from * width + x]);
        }
        found[y * width + x] = value;
      }
    }
    return pictures.of(found, height, width);
  }

  function acrossRows(data, height, width, reach, choose) {
    const found = new data.constructor(data.length);
    for (let y = 0; y < height; y++) {
      const start = y * width;
      for (let x = 0; x < width; x++) {
        const last = Math.min(x + reach, width - 1);
        let value = data[start + x];
        for (let k = Math.max(x - reach, 0); k <= last; k++) {
          value = choose(value, data[start + k]);
        }
        found[start + x] = value;
      }
    }
    return found;
  }

  return {
    MIRRORED, REPEATED, gaussianKernel, gaussianSize, separable, slope, means,
    erode, dilate, close,
  };
})();
