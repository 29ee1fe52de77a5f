/** Longer names are rare, and not worth their memory. */
const LONGEST = 128;
const SLOTS = 1 << 15;
const names: (string | undefined)[] = Array.from({ length: SLOTS });

/**
 * The name in `message[start, end)`: the same string for all streams that ask for it, so that they share its memory,
 * and its hash, which each lookup would compute anew for a string of its own. A name has one slot, from which others
 * displace it: a client that makes up names costs decoding, and no more memory than the slots take.
 */
export function readName(message: Buffer, start = 0, end = message.length): string {
  if (end - start > LONGEST) return message.toString('utf8', start, end);
  const slot = slotOf(message, start, end);
  const known = names[slot];
  if (known !== undefined && isEncodedAs(known, message, start, end)) return known;
  const name = message.toString('utf8', start, end);
  // As many characters as bytes: each is ASCII, or stands for a byte that is not UTF-8 and equals no character.
  if (name.length === end - start) names[slot] = name;
  return name;
}

function slotOf(message: Buffer, start: number, end: number): number {
  let hash = 0;
  for (let at = start; at < end; at += 1) hash = Math.imul(hash ^ (message[at] as number), 0x01000193);
  return (hash ^ (hash >>> 15)) & (SLOTS - 1);
}

function isEncodedAs(name: string, message: Buffer, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let at = 0; at < name.length; at += 1) {
    if (name.charCodeAt(at) !== message[start + at]) return false;
  }
  return true;
}
