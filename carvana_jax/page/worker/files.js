// Tells what a file is, and whether it is whole, before a browser decodes it:
// browsers show what there is of a damaged photo.
const files = (() => {
  const SAVE = 'save it as JPG or PNG';
  const HEIC = ['heic', 'heix', 'heim', 'heis', 'hevc', 'mif1', 'msf1'];

  // Returns {kind, height, width}; height and width are not known of all kinds.
  function look(bytes) {
    if (!bytes.length) throw new Refusal('is empty');
    if (starts(bytes, '\xff\xd8\xff')) return {kind: 'JPG', ...jpeg(bytes)};
    if (starts(bytes, '\x89PNG\r\n\x1a\n')) return {kind: 'PNG', ...png(bytes)};
    if (starts(bytes, 'RIFF') && text(bytes, 8, 4) === 'WEBP') {
      return {kind: 'WebP', ...webp(bytes)};
    }
    if (text(bytes, 4, 4) === 'ftyp') return {kind: brand(bytes)};
    if (starts(bytes, 'BM')) return {kind: 'BMP'};
    if (starts(bytes, 'II*\0') || starts(bytes, 'MM\0*')) return {kind: 'TIFF'};
    throw new Refusal('is no JPG, PNG, WebP, AVIF or BMP image');
  }

  // What is said of a file that the browser can't decode.
  function refusal(kind) {
    return new Refusal(kind === 'HEIC' || kind === 'TIFF'
      ? `is a ${kind} image, which this browser can't read; ${SAVE}`
      : 'is damaged');
  }

  const text = (bytes, start, length) =>
    String.fromCharCode(...bytes.subarray(start, start + length));

  const starts = (bytes, beginning) =>
    text(bytes, 0, beginning.length) === beginning;

  const number = (bytes, at, length) => {
    let value = 0;
    for (let k = 0; k < length; k++) value = value * 256 + bytes[at + k];
    return value;
  };

  function brand(bytes) {
    const end = Math.min(number(bytes, 0, 4), bytes.length, 256);
    const brands = [];
    for (let at = 8; at < end; at += 4) brands.push(text(bytes, at, 4));
    if (brands.includes('avif')) return 'AVIF';
    if (HEIC.some((name) => brands.includes(name))) return 'HEIC';
    throw new Refusal('is a video, or a photo of a rare kind');
  }

  // Goes from marker to marker, and looks for the one at the end.
  function jpeg(bytes) {
    const size = {};
    let at = 2;
    while (at + 2 <= bytes.length) {
      const marker = bytes[at + 1];
      if (bytes[at] !== 0xff || marker === 0xff || !marker) {
        at++;  // bytes that decoders pass over, too
        continue;
      }
      if (marker === 0xd9) return size;
      const isFrame = marker >= 0xc0 && marker <= 0xcf
        && ![0xc4, 0xc8, 0xcc].includes(marker);
      if (isFrame) {
        size.height = number(bytes, at + 5, 2);
        size.width = number(bytes, at + 7, 2);
      }
      at += 2 + number(bytes, at + 2, 2);
      if (marker === 0xda) at = afterScan(bytes, at);
    }
    throw new Refusal('is damaged: its end is missing');
  }

  // Where the next marker is that does not belong to the pixels.
  function afterScan(bytes, at) {
    while ((at = bytes.indexOf(0xff, at)) >= 0) {
      const marker = bytes[at + 1];
      if (marker && marker !== 0xff && (marker < 0xd0 || marker > 0xd7)) break;
      at++;
    }
    return at < 0 ? bytes.length : at;
  }

  function png(bytes) {
    const size = {height: number(bytes, 20, 4), width: number(bytes, 16, 4)};
    for (let at = 8; at + 12 <= bytes.length;) {
      const end = at + 12 + number(bytes, at, 4), name = text(bytes, at + 4, 4);
      if (end > bytes.length) break;
      if (checksums.crc32(bytes.subarray(at + 4, end - 4))
        !== number(bytes, end - 4, 4)) throw new Refusal('is damaged');
      if (name === 'IEND') return size;
      at = end;
    }
    throw new Refusal('is damaged: its end is missing');
  }

  function webp(bytes) {
    const little = (at, length) =>
      number(Uint8Array.from(bytes.subarray(at, at + length)).reverse(), 0,
        length);
    if (little(4, 4) + 8 > bytes.length) {
      throw new Refusal('is damaged: its end is missing');
    }
    switch (text(bytes, 12, 4)) {
      case 'VP8X':
        return {height: little(27, 3) + 1, width: little(24, 3) + 1};
      case 'VP8 ':
        return {height: little(28, 2) & 16383, width: little(26, 2) & 16383};
      default:
        return {height: ((little(21, 4) >> 14) & 16383) + 1,
          width: (little(21, 4) & 16383) + 1};
    }
  }

  return {look, refusal};
})();
