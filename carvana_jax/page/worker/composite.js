// A cut-out object on another background; see masks/composite.py.
const composite = (() => {
  const {rint} = pictures;

  // Scales a picture until it fills a frame; what juts out is cut off.
  function fillFrame(picture, height, width) {
    const factor = Math.max(height / picture.height, width / picture.width);
    const rows = height / factor, columns = width / factor;
    const top = rint((picture.height - rows) / 2);
    const left = rint((picture.width - columns) / 2);
    const part = pictures.crop(picture, {
      top, left,
      bottom: Math.min(top + Math.max(rint(rows), 1), picture.height),
      right: Math.min(left + Math.max(rint(columns), 1), picture.width),
    });
    const method = factor < 1 ? resizing.area : resizing.cubic;
    return method(part, height, width);
  }

  // A background of one colour, [red, green, blue].
  function plain(colour, height, width) {
    const found = pictures.empty(height, width, 4);
    for (let i = 0; i < found.data.length; i += 4) found.data.set(colour, i);
    return found;
  }

  // Lays the object over a background of four channels, which is changed.
  function compose(colours, alpha, background, matte) {
    const {data} = background;
    for (let i = 0; i < alpha.data.length; i++) {
      const opacity = Math.fround(alpha.data[i] / 255);
      for (let at = 4 * i; at < 4 * i + 3; at++) {
        const shaded = rint(data[at] * matte.data[i] / 255);
        data[at] = rint(opacity * colours.data[at] + (1 - opacity) * shaded);
      }
      data[4 * i + 3] = 255;
    }
    return background;
  }

  return {fillFrame, plain, compose};
})();
