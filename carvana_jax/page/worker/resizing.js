// Makes pictures smaller and larger with the very sums and roundings of OpenCV,
// which prepared the photos that networks learn from.
const resizing = (() => {
  const {rint, clip, of} = pictures;
  const FIXED = 2048;  // what weights are multiples of, one over

  // Averages areas, see `images.reduce` in Python.
  function reduce(picture, height, width) {
    if ((height < picture.height) !== (width < picture.width)) {
      // OpenCV averages no axis where the other grows.
      picture = area(picture, Math.min(height, picture.height),
        Math.min(width, picture.width));
    }
    return area(picture, height, width);
  }

  // OpenCV's INTER_AREA, for bytes.
  function area(picture, height, width) {
    if (picture.height === height && picture.width === width) return picture;
    if (height > picture.height || width > picture.width) {
      return linear(picture, height, width, areaPlaces);
    }
    const down = 1 / (height / picture.height);
    const across = 1 / (width / picture.width);
    return Number.isInteger(down) && Number.isInteger(across)
      ? averageWhole(picture, height, width, down, across)
      : averageShares(picture, height, width, down, across);
  }

  // Areas of whole pixels.
  function averageWhole(picture, height, width, down, across) {
    const {data, channels} = picture;
    const row = picture.width * channels;
    const found = new Uint8Array(height * width * channels);
    const isFour = down === 2 && across === 2;
    const share = Math.fround(1 / (down * across));
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const corner = y * down * row + x * across * channels;
        for (let c = 0; c < channels; c++, at++) {
          let sum = 0;
          for (let j = 0; j < down; j++) {
            let from = corner + j * row + c;
            for (let i = 0; i < across; i++, from += channels) {
              sum += data[from];
            }
          }
          found[at] = isFour ? (sum + 2) >> 2 : rint(Math.fround(sum * share));
        }
      }
    }
    return of(found, height, width, channels);
  }

  // Areas that cut pixels, which count by their share.
  function averageShares(picture, height, width, down, across) {
    const {data, channels} = picture;
    const row = picture.width * channels, length = width * channels;
    const columns = shares(picture.width, width, across);
    const rows = shares(picture.height, height, down);
    const found = new Uint8Array(height * length);
    const line = new Float32Array(length), sum = new Float32Array(length);
    for (let k = 0; k < rows.weights.length; k++) {
      line.fill(0);
      const from = rows.sources[k] * row;
      for (let n = 0; n < columns.weights.length; n++) {
        const weight = columns.weights[n];
        const source = from + columns.sources[n] * channels;
        const target = columns.targets[n] * channels;
        for (let c = 0; c < channels; c++) {
          line[target + c] += Math.fround(data[source + c] * weight);
        }
      }
      const y = rows.targets[k], weight = rows.weights[k];
      const isFirst = !k || rows.targets[k - 1] !== y;
      for (let i = 0; i < length; i++) {
        sum[i] = Math.fround(line[i] * weight) + (isFirst ? 0 : sum[i]);
      }
      if (rows.targets[k + 1] === y) continue;
      for (let i = 0; i < length; i++) found[y * length + i] = rint(sum[i]);
    }
    return of(found, height, width, channels);
  }

  // Which pixels of one axis make up which of the result, and by what share.
  function shares(before, after, scale) {
    const targets = [], sources = [], weights = [];
    const add = (target, source, weight) => {
      targets.push(target);
      sources.push(source);
      weights.push(weight);
    };
    for (let target = 0; target < after; target++) {
      const start = target * scale, end = start + scale;
      const cell = Math.min(scale, before - start);
      const last = Math.min(Math.floor(end), before - 1);
      const first = Math.min(Math.ceil(start), last);
      if (first - start > 1e-3) add(target, first - 1, (first - start) / cell);
      for (let x = first; x < last; x++) add(target, x, 1 / cell);
      if (end - last > 1e-3) {
        add(target, last, Math.min(end - last, 1, cell) / cell);
      }
    }
    return {
      targets: Int32Array.from(targets),
      sources: Int32Array.from(sources),
      weights: Float32Array.from(weights),
    };
  }

  // OpenCV's INTER_LINEAR, for bytes, whose weights have 11 bits.
  function linear(picture, height, width, places = middles) {
    const {data, channels} = picture;
    if (picture.height === height && picture.width === width) return picture;
    const length = width * channels;
    const columns = fixed(places(picture.width, width));
    const rows = fixed(places(picture.height, height));
    const found = new Uint8Array(height * length);
    const lines = [new Int32Array(length), new Int32Array(length)];
    const fill = (line, y) => {
      const start = y * picture.width * channels;
      for (let x = 0, at = 0; x < width; x++) {
        const left = start + columns.first[x] * channels;
        const right = start + columns.second[x] * channels;
        const weight = columns.weight[x];
        for (let c = 0; c < channels; c++, at++) {
          line[at] = data[left + c] * (FIXED - weight)
            + data[right + c] * weight;
        }
      }
    };
    for (let y = 0, at = 0; y < height; y++) {
      fill(lines[0], rows.first[y]);
      fill(lines[1], rows.second[y]);
      const weight = rows.weight[y];
      for (let x = 0; x < length; x++, at++) {
        const upper = ((lines[0][x] >> 4) * (FIXED - weight)) >> 16;
        const lower = ((lines[1][x] >> 4) * weight) >> 16;
        found[at] = (upper + lower + 2) >> 2;
      }
    }
    return of(found, height, width, channels);
  }

  // OpenCV's INTER_LINEAR, for numbers of one channel, row by row, as a whole
  // photo of them would take much memory: `use(row, y)` is given each.
  function linearRows(picture, height, width, use) {
    const {data} = picture;
    const columns = middles(picture.width, width);
    const rows = middles(picture.height, height);
    const line = new Float32Array(width);
    const kept = [{y: -1, row: new Float32Array(width)},
      {y: -1, row: new Float32Array(width)}];
    const across = (y) => {
      const spare = kept[0];
      if (kept[1].y === y) return kept[1].row;
      if (spare.y === y) return spare.row;
      kept.reverse();
      kept[1].y = y;
      const start = y * picture.width, {row} = kept[1];
      for (let x = 0; x < width; x++) {
        const weight = columns.weight[x];
        row[x] = data[start + columns.first[x]] * Math.fround(1 - weight)
          + data[start + columns.second[x]] * weight;
      }
      return row;
    };
    for (let y = 0; y < height; y++) {
      const upper = across(rows.first[y]), lower = across(rows.second[y]);
      const weight = rows.weight[y], other = Math.fround(1 - weight);
      for (let x = 0; x < width; x++) {
        line[x] = upper[x] * other + lower[x] * weight;
      }
      use(line, y);
    }
  }

  // OpenCV's INTER_CUBIC, for bytes.
  function cubic(picture, height, width) {
    const {data, channels} = picture;
    if (picture.height === height && picture.width === width) return picture;
    const columns = taps(picture.width, width);
    const rows = taps(picture.height, height);
    const found = new Uint8Array(height * width * channels);
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (let c = 0; c < channels; c++, at++) {
          let sum = 0;
          for (let j = 4 * y; j < 4 * y + 4; j++) {
            const start = rows.sources[j] * picture.width;
            let line = 0;
            for (let i = 4 * x; i < 4 * x + 4; i++) {
              line += columns.weights[i]
                * data[(start + columns.sources[i]) * channels + c];
            }
            sum += rows.weights[j] * line;
          }
          found[at] = clip(rint(sum / FIXED / FIXED), 0, 255);
        }
      }
    }
    return of(found, height, width, channels);
  }

  // Middles of pixels lie upon middles.
  function middles(before, after) {
    const scale = 1 / (after / before);
    return places(before, after, (x) => {
      const place = Math.fround((x + 0.5) * scale - 0.5);
      const first = Math.floor(place);
      return [first, Math.fround(place - first)];
    });
  }

  // What OpenCV does where areas are smaller than pixels.
  function areaPlaces(before, after) {
    const inverse = after / before, scale = 1 / inverse;
    return places(before, after, (x) => {
      const first = Math.floor(x * scale);
      const over = Math.fround(x + 1 - (first + 1) * inverse);
      return [first, over <= 0 ? 0 : Math.fround(over - Math.floor(over))];
    });
  }

  function places(before, after, find) {
    const first = new Int32Array(after), second = new Int32Array(after);
    const weight = new Float32Array(after);
    for (let x = 0; x < after; x++) {
      const [place, share] = find(x);
      const inside = place >= 0 && place < before - 1;
      first[x] = clip(place, 0, before - 1);
      second[x] = inside ? place + 1 : first[x];
      weight[x] = inside ? share : 0;
    }
    return {first, second, weight};
  }

  function fixed({first, second, weight}) {
    return {first, second, weight: weight.map((x) => rint(x * FIXED))};
  }

  // Four pixels for each of the result, and their weights.
  function taps(before, after) {
    const scale = 1 / (after / before);
    const sources = new Int32Array(4 * after);
    const weights = new Int32Array(4 * after);
    for (let x = 0; x < after; x++) {
      const place = Math.fround((x + 0.5) * scale - 0.5);
      const first = Math.floor(place), over = place - first;
      cubicWeights(over).forEach((weight, k) => {
        sources[4 * x + k] = clip(first - 1 + k, 0, before - 1);
        weights[4 * x + k] = rint(weight * FIXED);
      });
    }
    return {sources, weights};
  }

  function cubicWeights(x) {
    const a = -0.75;
    const before = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a;
    const first = ((a + 2) * x - (a + 3)) * x * x + 1;
    const y = 1 - x;
    const second = ((a + 2) * y - (a + 3)) * y * y + 1;
    return [before, first, second, 1 - before - first - second];
  }

  return {reduce, area, linear, linearRows, cubic};
})();
