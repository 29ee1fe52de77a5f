/** Domain names on the wire: labels with their lengths before them, and pointers to earlier ones (RFC 1035, 4.1.4). */

/** All labels with their lengths, and the root's. */
const LONGEST_NAME = 255;
const LONGEST_LABEL = 63;
const POINTER = 0xc0;
/** As many as a name may have labels: who has more wants to be followed for long. */
const MOST_POINTERS = 127;

/** Where the name that begins here ends; -1 where it is broken. A pointer, where there may be one, is not followed. */
export function skipName(
  data: Uint8Array,
  start: number,
  { end, mayPoint }: { readonly end: number; readonly mayPoint: boolean },
): number {
  let at = start;
  while (at < end) {
    const length = data[at] ?? 0;
    if (length === 0) return at + 1;
    if (length >= POINTER && mayPoint) return at + 2 <= end ? at + 2 : -1;
    if (length > LONGEST_LABEL) return -1;
    at += length + 1;
    if (at - start >= LONGEST_NAME) return -1;
  }
  return -1;
}

/**
 * The labels of the name at `at`, in lower case, one character a byte; undefined where it is broken.
 * @param message where the message begins, from which pointers count
 */
export function readLabels(
  data: Uint8Array,
  at: number,
  { message, end }: { readonly message: number; readonly end: number },
): string[] | undefined {
  const labels: string[] = [];
  let total = 1;
  let position = at;
  // A pointer leads to an earlier place only, so that this ends.
  let before = at;
  let pointers = 0;
  while (position < end) {
    const length = data[position] ?? 0;
    if (length === 0) return labels;
    if (length >= POINTER) {
      position = message + (((length & 0x3f) << 8) | (data[position + 1] ?? 0));
      if (position >= before || ++pointers > MOST_POINTERS) return undefined;
      before = position;
      continue;
    }
    total += length + 1;
    if (!mayBe(length, total) || position + length >= end) return undefined;
    labels.push(labelText(data, position + 1, position + 1 + length));
    position += length + 1;
  }
  return undefined;
}

function mayBe(labelBytes: number, nameBytes: number): boolean {
  return labelBytes <= LONGEST_LABEL && nameBytes <= LONGEST_NAME;
}

/** `a.b.c` without the root's dot; undefined where it cannot be a name on the wire. */
export function labelsOf(text: string): readonly string[] | undefined {
  const labels = text.replace(/\.$/u, '').toLowerCase().split('.');
  const isSound =
    labels.every(({ length }) => length > 0 && length <= LONGEST_LABEL) && text.length < LONGEST_NAME - 1;
  return isSound ? labels : undefined;
}

function labelText(data: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at++) text += String.fromCharCode(lowerCase(data[at] ?? 0));
  return text;
}

/** ASCII alone (RFC 4343). Lengths of labels are below `A`: a whole name can be taken byte by byte. */
export function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}
