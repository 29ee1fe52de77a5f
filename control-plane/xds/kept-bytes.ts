/**
 * A copy of these bytes, one after another, in memory of its own: for what is kept for long. Node slices small
 * buffers from blocks that they share, and one that is kept keeps all of its block (`Buffer.poolSize`, 64 KiB).
 */
export function keptBytes(parts: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.allocUnsafeSlow(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
