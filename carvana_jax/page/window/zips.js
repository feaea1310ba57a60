// Joins files into a ZIP that stores them as they are, since pictures are
// compressed already (PKWARE's APPNOTE 6.3, without ZIP64).
const zips = (() => {
  const MOST = 0xffffffff, MOST_FILES = 0xffff;
  const LOCAL = 0x04034b50, CENTRAL = 0x02014b50, END = 0x06054b50;
  const VERSION = 20, UTF8 = 1 << 11;

  // Returns a Blob of files, [name, Blob] each.
  async function join(files) {
    const size = files.reduce((sum, [, {size: own}]) => sum + own + 1000, 0);
    if (size > MOST || files.length > MOST_FILES) {
      throw new Error('This is too much for one ZIP of 4 GB; reload the page '
        + 'and take fewer photos at a time.');
    }
    const parts = [], central = [];
    let start = 0;
    const [date, time] = stamp(new Date());
    for (const [name, blob] of files) {
      const text = new TextEncoder().encode(name);
      const sum = checksums.crc32(new Uint8Array(await blob.arrayBuffer()));
      const shared = [[VERSION, 2], [UTF8, 2], [0, 2], [time, 2], [date, 2],
        [sum, 4], [blob.size, 4], [blob.size, 4], [text.length, 2], [0, 2]];
      const head = numbers([[LOCAL, 4], ...shared]);
      parts.push(head, text, blob);
      central.push(numbers([[CENTRAL, 4], [VERSION, 2], ...shared, [0, 2],
        [0, 2], [0, 2], [0, 4], [start, 4]]), text);
      start += head.length + text.length + blob.size;
    }
    const length = central.reduce((total, bytes) => total + bytes.length, 0);
    const end = numbers([[END, 4], [0, 2], [0, 2], [files.length, 2],
      [files.length, 2], [length, 4], [start, 4], [0, 2]]);
    return new Blob([...parts, ...central, end], {type: 'application/zip'});
  }

  // Little-endian bytes of [value, how many bytes].
  function numbers(values) {
    return Uint8Array.from(values.flatMap(([value, length]) =>
      Array.from({length}, (_, k) => (value >>> (8 * k)) & 255)));
  }

  // Date and time as DOS has them.
  function stamp(now) {
    return [
      ((now.getFullYear() - 1980) << 9) | ((now.getMonth() + 1) << 5)
        | now.getDate(),
      (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1),
    ];
  }

  return {join};
})();
