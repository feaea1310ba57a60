// Encodes pictures as PNG. A canvas would not do: it multiplies colours by
// their opacity, and so loses them.
const pngs = (() => {
  const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
  const KINDS = {1: 0, 3: 2, 4: 6};  // grey, RGB, RGBA, by channels

  // Returns a Blob; a picture of one bit has pixels of 0 and 1.
  async function encode(picture, bits = 8) {
    const {height, width, channels} = picture;
    const header = new Uint8Array(13), numbers = new DataView(header.buffer);
    numbers.setUint32(0, width);
    numbers.setUint32(4, height);
    header.set([bits, KINDS[channels]], 8);
    const pixels = await deflate(bits === 1 ? packed(picture) : rows(picture));
    return new Blob([
      Uint8Array.from(SIGNATURE),
      chunk('IHDR', header),
      chunk('sRGB', Uint8Array.of(0)),  // the intent for photos
      chunk('IDAT', pixels),
      chunk('IEND', new Uint8Array(0)),
    ], {type: 'image/png'});
  }

  // Rows of differences to the pixel before, which take fewer bytes.
  function rows({data, height, width, channels}) {
    const length = width * channels;
    const found = new Uint8Array(height * (length + 1));
    for (let y = 0, at = 0, from = 0; y < height; y++) {
      found[at++] = 1;
      for (let x = 0; x < length; x++, from++) {
        found[at++] = data[from] - (x < channels ? 0 : data[from - channels]);
      }
    }
    return found;
  }

  // Rows of eight pixels a byte.
  function packed({data, height, width}) {
    const length = Math.ceil(width / 8);
    const found = new Uint8Array(height * (length + 1));
    for (let y = 0; y < height; y++) {
      const start = y * (length + 1) + 1;
      for (let x = 0; x < width; x++) {
        found[start + (x >> 3)] |= data[y * width + x] << (7 - (x & 7));
      }
    }
    return found;
  }

  async function deflate(bytes) {
    const stream = new Blob([bytes]).stream()
      .pipeThrough(new CompressionStream('deflate'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  function chunk(name, content) {
    const found = new Uint8Array(12 + content.length);
    const numbers = new DataView(found.buffer);
    numbers.setUint32(0, content.length);
    for (let k = 0; k < 4; k++) found[4 + k] = name.charCodeAt(k);
    found.set(content, 8);
    numbers.setUint32(8 + content.length,
      checksums.crc32(found.subarray(4, 8 + content.length)));
    return found;
  }

  return {encode};
})();
