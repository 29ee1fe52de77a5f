/** A client's own words are kept up to here, in characters. */
export const LONGEST_REASON = 4096;

/**
 * The beginning of a text that a client sent. A copy where it is cut, since a slice of a string keeps all of the
 * string it is of.
 */
export function excerpt(text: string, longest = LONGEST_REASON): string {
  return text.length <= longest ? text : Buffer.from(text.slice(0, longest)).toString();
}
