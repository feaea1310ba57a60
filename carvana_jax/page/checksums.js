// CRC-32, as PNG and ZIP have it.
const checksums = (() => {
  const TABLE = Uint32Array.from({length: 256}, (_, byte) => {
    let value = byte;
    for (let k = 0; k < 8; k++) {
      value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
    }
    return value;
  });

  function crc32(bytes) {
    let value = 0xffffffff;
    for (let k = 0; k < bytes.length; k++) {
      value = TABLE[(value ^ bytes[k]) & 255] ^ (value >>> 8);
    }
    return (value ^ 0xffffffff) >>> 0;
  }

  return {crc32};
})();
