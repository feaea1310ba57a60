// What the page asks of the worker, one task at a time, so that no more than
// one photo is in memory.
const tasks = (() => {
  const SMALL = 192;  // pixels of a thumbnail's longer side
  let facts, asking;

  async function start(given) {
    facts = given.facts;
    asking = given.network ? askingHere : askingThere;
    await asking.start(given);
  }

  // Cuts the object out of a photo.
  async function cut({file}) {
    const photo = await photos.decode(file);
    const {height, width} = photo;
    const thumbnail = await small(photo);
    const levels = await asking.levels(photo, file);
    const mask = fromLogits.mask(levels, facts.level, facts.cleaning);
    const shadows = {};
    for (const kind of ['own', 'synthetic']) {
      shadows[kind] = await darkness(shadow.small(photo, mask, kind));
    }
    const alpha = cutout.alpha(levels, mask, facts.level);
    cutout.decontaminate(photo, alpha);
    return {
      height, width, thumbnail, shadows,
      isEmpty: fromLogits.isEmpty(mask),
      mask: await pngs.encode(mask, 1),
      levels: await pngs.encode(levels),
      cutout: await pngs.encode(cutout.cutOut(photo, alpha)),
    };
  }

  // Lays the object of a photo that was cut out over a background: `colour`,
  // [red, green, blue], or the file `picture`.
  async function compose({file, levels: blob, colour, picture, kind}) {
    const photo = await photos.decode(file);
    const levels = await photos.decodeGrey(blob);
    const mask = fromLogits.mask(levels, facts.level, facts.cleaning);
    const {height, width} = mask;
    const matte = shadow.matte(photo, mask, kind);
    const alpha = cutout.alpha(levels, mask, facts.level);
    cutout.decontaminate(photo, alpha);
    const background = picture
      ? composite.fillFrame(await photos.decode(picture), height, width)
      : composite.plain(colour, height, width);
    return photos.encodeJpeg(
      composite.compose(photo, alpha, background, matte));
  }

  // Tells whether a picture can be a background.
  async function check({picture}) {
    await photos.decode(picture);
  }

  // A shadow as black of some opacity, to be laid over any background.
  async function darkness(matte) {
    if (!matte) return null;
    const black = pictures.empty(matte.height, matte.width, 4);
    matte.data.forEach((x, i) => { black.data[4 * i + 3] = 255 - x; });
    return pngs.encode(black);
  }

  function small(photo) {
    const factor = Math.min(SMALL / Math.max(photo.height, photo.width), 1);
    const side = (length) => Math.max(Math.round(length * factor), 1);
    return photos.encodeJpeg(
      resizing.area(photo, side(photo.height), side(photo.width)));
  }

  return {start, cut, compose, check};
})();
