const LONGEST = 60;
/** RFC 1123, of a subdomain: all that Kubernetes takes. */
const LONGEST_OBJECT_NAME = 253;

/** A value in quotation marks, for a message; of a long one its beginning. */
export function excerpt(value: string): string {
  return JSON.stringify(beginning(value));
}

/** A name, for a message; of a long one its beginning. */
export function beginning(name: string, longest = LONGEST): string {
  return name.length > longest ? `${name.slice(0, longest)}…` : name;
}

/** A name of an object or a container, for a message. It is reviewed before it is validated, and may be any length. */
export function objectName(name: string): string {
  return beginning(name, LONGEST_OBJECT_NAME);
}

/** The items between commas, without the blanks around them. */
export function listItems(value: string): string[] {
  return value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
