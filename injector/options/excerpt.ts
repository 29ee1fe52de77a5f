const LONGEST = 60;

/** A value in quotation marks, for a message; of a long one its beginning. */
export function excerpt(value: string): string {
  return JSON.stringify(beginning(value));
}

/** A name, for a message; of a long one its beginning. */
export function beginning(name: string): string {
  return name.length > LONGEST ? `${name.slice(0, LONGEST)}…` : name;
}

/** The items between commas, without the blanks around them. */
export function listItems(value: string): string[] {
  return value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
