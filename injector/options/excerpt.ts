const LONGEST = 60;

/** A value in quotation marks, for a message; of a long one its beginning. */
export function excerpt(value: string): string {
  return JSON.stringify(value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value);
}

/** The items between commas, without the blanks around them. */
export function listItems(value: string): string[] {
  return value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
