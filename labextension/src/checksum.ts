// CRC-32, by which a cell's output tells from which text it came.

/** Give the checksum of a text as `zlib.crc32` in Python does of its UTF-8. */
export function checksum(text: string): number {
  let crc = -1;
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
