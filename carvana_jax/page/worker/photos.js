// Decodes photos as people see them: upright, in sRGB, on white.
const photos = (() => {
  const MEGAPIXELS = 64, MEGABYTES = 200;

  // Returns a picture of four channels, of which the last is 255.
  async function decode(file) {
    if (file.size > MEGABYTES * 1e6) {
      throw new Refusal(
        `has more than ${MEGABYTES} megabytes; make it smaller`);
    }
    const bytes = await read(file);
    const {kind, height, width} = files.look(bytes);
    refuseLarge(height, width);
    let bitmap;
    try {
      bitmap = await createImageBitmap(new Blob([bytes]));
    } catch {
      throw files.refusal(kind);
    }
    refuseLarge(bitmap.height, bitmap.width);
    return onWhite(bitmap);
  }

  async function read(file) {
    try {
      return new Uint8Array(await file.arrayBuffer());
    } catch {
      throw new Refusal('can\'t be read; if it is a folder, choose the photos '
        + 'in it');
    }
  }

  function refuseLarge(height, width) {
    if (height * width > MEGAPIXELS * 1e6) {
      throw new Refusal(`has more than ${MEGAPIXELS} megapixels; make it `
        + 'smaller');
    }
  }

  function onWhite(bitmap) {
    const {height, width} = bitmap;
    const context = new OffscreenCanvas(width, height)
      .getContext('2d', {willReadFrequently: true});
    context.fillStyle = 'white';
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    const {data} = context.getImageData(0, 0, width, height);
    return pictures.of(new Uint8Array(data.buffer), height, width, 4);
  }

  // Decodes a grey PNG that says nothing of colours.
  async function decodeGrey(blob) {
    const found = onWhite(
      await createImageBitmap(blob, {colorSpaceConversion: 'none'}));
    const grey = pictures.empty(found.height, found.width);
    for (let i = 0; i < grey.data.length; i++) grey.data[i] = found.data[4 * i];
    return grey;
  }

  // Encodes a picture of four channels, none of it transparent, as JPG.
  async function encodeJpeg({data, height, width}) {
    const canvas = new OffscreenCanvas(width, height);
    const pixels = new Uint8ClampedArray(data.buffer);
    canvas.getContext('2d').putImageData(
      new ImageData(pixels, width, height), 0, 0);
    return canvas.convertToBlob({type: 'image/jpeg', quality: 0.95});
  }

  return {decode, decodeGrey, encodeJpeg};
})();
