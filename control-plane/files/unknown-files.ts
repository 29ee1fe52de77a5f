/** Everything below the directory. */
export const EVERYTHING: ReadonlySet<string> = new Set(['']);

/**
 * Those of these files and folders that were not known before: they cannot be read yet, or have been read in part
 * only. An object that is missing may be in them.
 */
export function stillUnknown(before: ReadonlySet<string>, unread: Iterable<string>): ReadonlySet<string> {
  return new Set([...unread].filter((path) => isWithin(path, before)));
}

function isWithin(path: string, places: ReadonlySet<string>): boolean {
  for (let at = path; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
    if (places.has(at)) return true;
    if (at === '') return false;
  }
}
