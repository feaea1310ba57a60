// Cleans masks, pixels of 0 and 1; see masks/cleaning.py.
const cleaning = (() => {
  function clean(mask, way) {
    if (way.includes('holes')) mask = fillHoles(mask);
    return way.includes('largest') ? keepLargest(mask) : mask;
  }

  // Turns background that does not touch the picture's edge into object.
  function fillHoles({data, height, width}) {
    const {labels, touching} = parts(data, height, width, 0, 0);
    const found = pictures.empty(height, width);
    for (let i = 0; i < data.length; i++) {
      found.data[i] = data[i] || !touching[labels[i]];
    }
    return found;
  }

  // Turns all but the largest part of a mask into background; pixels that meet
  // at a corner are connected.
  function keepLargest({data, height, width}) {
    const {labels, areas} = parts(data, height, width, 1, 1);
    let best = 1;
    for (let part = 2; part < areas.length; part++) {
      if (areas[part] > areas[best]) best = part;
    }
    const found = pictures.empty(height, width);
    for (let i = 0; i < data.length; i++) found.data[i] = labels[i] === best;
    return found;
  }

  // Numbers the parts that pixels of one value make up, from 1 on, the first
  // from the top first.
  //
  // Runs of pixels are joined with the runs above that they touch; where
  // `reach` is 1, at corners, too.
  function parts(data, height, width, value, reach) {
    const labels = new Int32Array(data.length);
    const parents = [0];
    const root = (run) => {
      while (parents[run] !== run) run = parents[run] = parents[parents[run]];
      return run;
    };
    for (let y = 0; y < height; y++) {
      const start = y * width;
      for (let x = 0; x < width; x++) {
        if (data[start + x] !== value) continue;
        const first = x;
        while (x < width && data[start + x] === value) x++;
        let own = 0;
        const last = Math.min(x - 1 + reach, width - 1);
        for (let k = Math.max(first - reach, 0); y && k <= last; k++) {
          const above = labels[start - width + k];
          if (!above) continue;
          const other = root(above);
          if (own && own !== other) {
            parents[Math.max(own, other)] = Math.min(own, other);
          }
          own = own ? Math.min(own, other) : other;
        }
        if (!own) parents.push(own = parents.length);
        labels.fill(own, start + first, start + x);
      }
    }
    return numbered(labels, height, width, parents, root);
  }

  function numbered(labels, height, width, parents, root) {
    const numbers = new Int32Array(parents.length);
    let count = 0;
    for (let run = 1; run < parents.length; run++) {
      const top = root(run);
      numbers[run] = top === run ? ++count : numbers[top];
    }
    const areas = new Float64Array(count + 1);
    const touching = new Uint8Array(count + 1);
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0; x < width; x++, at++) {
        const part = labels[at] = numbers[labels[at]];
        areas[part]++;
        if (!y || !x || y === height - 1 || x === width - 1) touching[part] = 1;
      }
    }
    return {labels, areas, touching};
  }

  return {clean, fillHoles, keepLargest};
})();
