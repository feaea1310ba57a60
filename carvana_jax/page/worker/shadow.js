// An object's shadow, as the share of the floor's light that is left; see
// masks/shadow.py, which names the lengths.
const shadow = (() => {
  const {rint, clip, of} = pictures;
  const LONG = 480;
  const REACH = 0.35, AROUND = 1.0, HIGH = 0.3, FEWEST = 50;
  const DISC = [0, 2, 2, 2, 0];  // pixels to each side, row by row
  const BODY = 0.6, BODY_BLUR = 0.05, TYRES = 0.6, TYRES_BLUR = 0.015;
  const BODY_HIGH = 0.2, BODY_ASIDE = 0.35;
  const STEEPEST = 0.4, BODY_HEIGHT = 0.35, CONTACT_HEIGHT = 0.06;

  // What a background is to be multiplied by, 0..255: a small picture, to be
  // enlarged to the photo's size; null where there is no shadow. The `ground`
  // is that of the mask.
  function small(photo, mask, kind, ground) {
    if (kind === 'none' || !ground) return null;
    const {height, width} = ground;
    const left = kind === 'own'
      ? own(floor(photo, mask, [height, width]), ground) : synthetic(ground);
    const shares = Uint8Array.from(left, (x) => rint(255 * clip(x, 0, 1)));
    return of(shares, height, width);
  }

  function matte(photo, mask, kind) {
    const found = small(photo, mask, kind, findGround(mask));
    if (found) return resizing.linear(found, mask.height, mask.width);
    const all = pictures.empty(mask.height, mask.width);
    all.data.fill(255);
    return all;
  }

  // Where the floor is, and how far each pixel is from the object, in sizes of
  // the object and on a smaller picture; null where the mask shows nothing.
  function findGround({data, height, width}) {
    const factor = Math.min(LONG / Math.max(height, width), 1);
    const side = (length) => Math.max(rint(length * factor), 1);
    const white = of(data.map((x) => 255 * x), height, width);
    const seen = resizing.area(white, side(height), side(width));
    const object = seen.data.map((x) => x >= 128);
    if (!object.some((x) => x)) return null;
    // Specks cast no shadow.
    return around(cleaning.keepLargest(of(object, seen.height, seen.width)));
  }

  function around(mask) {
    const {data, height, width} = mask;
    const size = Math.sqrt(data.reduce((a, b) => a + b, 0));
    const line = contactLine(mask), [x0, x1] = [line[0][0], line.at(-1)[0]];
    const high = new Float32Array(data.length), aside = new Float32Array(width);
    const below = new Uint8Array(data.length);
    const contact = new Uint8Array(data.length);
    for (let x = 0; x < width; x++) {
      const ground = Math.fround(interpolate(x, line));
      aside[x] = Math.max(x0 - x, x - x1, 0) / size;
      let isUnder = false;
      for (let y = 0, at = x; y < height; y++, at += width) {
        high[at] = (ground - y) / size;
        isUnder = isUnder || Boolean(data[at]);
        below[at] = isUnder && !data[at] && high[at] > 0
          && high[at] < BODY_HEIGHT;
        contact[at] = data[at] && high[at] < CONTACT_HEIGHT;
      }
    }
    const away = distance.onFloor(
      of(below.map((x, i) => x || contact[i]), height, width));
    return {
      size, high, aside, below, contact, mask, height, width,
      away: away.map((x) => x / size),
    };
  }

  // Luminance beside the object, and where it is known.
  function floor(photo, mask, size) {
    const {height, width} = mask;
    const outside = of(mask.data.map((x) => 255 * !x), height, width);
    const clear = filters.erode(outside, 3);
    const gray = pictures.empty(height, width);
    for (let i = 0; i < gray.data.length; i++) {
      if (!clear.data[i]) continue;
      gray.data[i] = (9798 * photo.data[4 * i] + 19235 * photo.data[4 * i + 1]
        + 3735 * photo.data[4 * i + 2] + 16384) >> 15;
    }
    const light = Float32Array.from(resizing.area(gray, ...size).data);
    const share = resizing.area(clear, ...size).data;
    return {
      light: light.map((x, i) => x / Math.max(share[i] / 255, 1 / 255)),
      seen: share.map((x) => x / 255 > 0.25),
    };
  }

  // Compares the floor's light at the object with what is expected there.
  function own({light, seen}, where) {
    const {height, width, away, high} = where;
    const expected = expect(light, seen, where);
    if (!expected) return new Float32Array(light.length).fill(1);
    let left = light.map((x, i) => (seen[i] ? x / expected[i] : 0));
    // Seams of the floor are thin and dark.
    left = filters.close(of(left, height, width), DISC);
    left = spread(left, seen, height, width);
    return left.map((x, i) => {
      const above = high[i] * (1 + 6 * away[i]);
      const near = fade(away[i], 0, REACH) * fade(above, HIGH / 2, HIGH);
      return 1 - near * (1 - x);
    });
  }

  // Fits a plane to the light of the floor around the object, again without
  // what is far from it; null if too little of the floor is seen, or it is
  // black.
  function expect(light, seen, {width, away, high}) {
    let places = [];
    for (let i = 0; i < light.length; i++) {
      if (seen[i] && away[i] > REACH && away[i] < AROUND && high[i] < HIGH) {
        places.push({x: i % width, y: Math.floor(i / width), value: light[i]});
      }
    }
    if (places.length < FEWEST) return null;
    const all = places;
    let plane;
    for (let round = 0; round < 5; round++) {
      plane = fitPlane(places);
      const rest = all.map(({x, y, value}) => Math.abs(value - plane(x, y)));
      const most = 2 * Math.max(percentile(rest, 50), 1);
      places = all.filter((_, i) => rest[i] <= most);
    }
    const values = places.map(({value}) => value);
    const low = Math.max(percentile(values, 2), 1);
    const top = percentile(values, 98);
    if (top < 1) return null;
    return light.map((_, i) =>
      clip(plane(i % width, Math.floor(i / width)), low, top));
  }

  // Least squares; places are taken from their mean, so that sums of squares
  // keep their digits.
  function fitPlane(places) {
    const mean = (key) =>
      places.reduce((sum, place) => sum + place[key], 0) / places.length;
    const [x0, y0, v0] = ['x', 'y', 'value'].map(mean);
    let xx = 0, xy = 0, yy = 0, xv = 0, yv = 0;
    for (const {x, y, value} of places) {
      xx += (x - x0) ** 2;
      xy += (x - x0) * (y - y0);
      yy += (y - y0) ** 2;
      xv += (x - x0) * (value - v0);
      yv += (y - y0) * (value - v0);
    }
    const determinant = xx * yy - xy * xy || 1;
    const a = (xv * yy - yv * xy) / determinant;
    const b = (yv * xx - xv * xy) / determinant;
    return (x, y) => v0 + a * (x - x0) + b * (y - y0);
  }

  // Between the two values next to it, in order.
  function percentile(values, percent) {
    const sorted = Float64Array.from(values).sort();
    const place = (percent / 100) * (sorted.length - 1);
    const first = Math.floor(place);
    const second = Math.min(first + 1, sorted.length - 1);
    return sorted[first] + (place - first) * (sorted[second] - sorted[first]);
  }

  // Smooths the light, and carries it on where the floor is not seen.
  function spread(left, seen, height, width) {
    const weight = Float32Array.from(seen);
    const known = left.map((x, i) => x * weight[i]);
    const total = new Float64Array(left.length);
    const count = new Float64Array(left.length);
    // What is farther away only counts where nothing is near.
    for (const [pixels, share] of [[3, 1], [9, 1e-3], [65, 1e-6]]) {
      const near = filters.means(of(known, height, width), pixels);
      const sure = filters.means(of(weight, height, width), pixels);
      for (let i = 0; i < left.length; i++) {
        total[i] += share * near[i];
        count[i] += share * sure[i];
      }
    }
    return left.map((_, i) => total[i] / Math.max(count[i], 1e-12));
  }

  // Takes light below the body, and more where tyres touch.
  function synthetic(where) {
    const {below, mask, high, aside, contact, size, width} = where;
    const under = new Float32Array(below.length);
    for (let i = 0; i < under.length; i++) {
      const isUnder = (below[i] || mask.data[i]) && high[i] > 0
        && high[i] < BODY_HIGH;
      if (isUnder) under[i] = fade(aside[i % width], 0, BODY_ASIDE);
    }
    const body = cast(under, where, BODY_BLUR * size);
    const tyres = cast(contact, where, TYRES_BLUR * size);
    return body.map((x, i) => (1 - BODY * x) * (1 - TYRES * tyres[i]));
  }

  // Half as far upwards, as the floor is foreshortened.
  function cast(data, {height, width}, blur) {
    const kernel = (sigma) =>
      filters.gaussianKernel(filters.gaussianSize(sigma), sigma);
    return filters.separable(of(data, height, width),
      kernel(Math.max(blur, 0.1)), kernel(Math.max(blur / 2, 0.1)),
      filters.REPEATED).data;
  }

  // Falls from 1 at `full` to 0 at `none` without a kink.
  function fade(x, full, none) {
    const share = clip((none - x) / (none - full), 0, 1);
    return share * share * (3 - 2 * share);
  }

  // Corners [column, row] of the line below the tyres.
  function contactLine({data, height, width}) {
    const hull = [];
    for (let x = 0; x < width; x++) {
      let y = height - 1;
      while (y >= 0 && !data[y * width + x]) y--;
      if (y < 0) continue;
      const point = [x, y + 1];
      while (hull.length > 1 && !turnsUp(hull.at(-2), hull.at(-1), point)) {
        hull.pop();
      }
      hull.push(point);
    }
    let first = 0;
    hull.forEach(([, y], i) => { if (y > hull[first][1]) first = i; });
    let last = first;
    while (first > 0 && isLevel(hull[first - 1], hull[first])) first--;
    while (last + 1 < hull.length && isLevel(hull[last], hull[last + 1])) {
      last++;
    }
    return hull.slice(first, last + 1);
  }

  const isLevel = (left, right) =>
    Math.abs(right[1] - left[1]) <= STEEPEST * (right[0] - left[0]);

  const turnsUp = (a, b, c) =>
    (b[0] - a[0]) * (c[1] - a[1]) < (c[0] - a[0]) * (b[1] - a[1]);

  // The row of a line at a column; it goes on level at both ends.
  function interpolate(x, line) {
    if (x <= line[0][0]) return line[0][1];
    const next = line.findIndex((corner) => corner[0] >= x);
    if (next < 0) return line.at(-1)[1];
    const [x0, y0] = line[next - 1], [x1, y1] = line[next];
    return y0 + (y1 - y0) / (x1 - x0) * (x - x0);
  }

  return {small, matte, findGround};
})();
