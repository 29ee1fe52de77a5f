export interface SyntaxProblem {
  readonly line: number;
  readonly column: number;
  /** What is wrong there and what to do. */
  readonly problem: string;
}

/** Part of a file. */
export interface Piece {
  readonly text: string;
  readonly linesAbove: number;
}

interface JsonValues {
  readonly values: readonly { readonly value: unknown; readonly line: number }[];
  /** What is to be read as YAML. */
  readonly rest: Piece | undefined;
  readonly problem: SyntaxProblem | undefined;
}

/**
 * JSON values one after another, as kubectl reads a file that begins with a brace. What follows the first value
 * may be YAML; after the second, kubectl expects JSON to the end.
 */
export function cutJson(text: string): JsonValues {
  const values: { value: unknown; line: number }[] = [];
  if (!/^\p{White_Space}*\{/u.test(text))
    return { values, rest: { text, linesAbove: 0 }, problem: undefined };
  let end = 0;
  let endLine = 1;
  for (;;) {
    const start = skip(/[ \t\r\n]*/y, text, end);
    if (start === text.length) return { values, rest: undefined, problem: undefined };
    const line = endLine + newlines(text, end, start);
    const after = endOfJson(text, start);
    const parsed = parseJson(text.slice(start, after));
    if (parsed === undefined && values.length > 1) {
      const problem =
        'is no valid JSON, though what stands above it is: mend it, or write a line with --- between all';
      return { values, rest: undefined, problem: { line, column: 1, problem } };
    }
    if (parsed === undefined) {
      const from = skip(/[^\S\n]*\n?/y, text, end);
      const linesAbove = endLine - 1 + newlines(text, end, from);
      return { values, rest: { text: text.slice(from), linesAbove }, problem: undefined };
    }
    values.push({ value: parsed.value, line });
    endLine = line + newlines(text, start, after);
    end = after;
  }
}

/**
 * The documents of a YAML text, cut where kubectl cuts them: at each line that begins with `---`, in a quoted text
 * or a block as well. Documents without content are left out.
 */
export function* cutDocuments({ text, linesAbove }: Piece): Generator<Piece | SyntaxProblem> {
  const lines = text.replaceAll('\r\n', '\n');
  let start = 0;
  let above = linesAbove;
  for (let at = lines.startsWith(MARKER) ? 0 : nextMarker(lines, 0); at >= 0; at = nextMarker(lines, at)) {
    const next = skip(/[^\n]*\n?/y, lines, at);
    const words = lines.slice(at + MARKER.length, next).trim();
    if (words !== '' && !words.startsWith('#')) {
      const line = above + newlines(lines, start, at) + 1;
      yield {
        line,
        column: MARKER.length + 1,
        problem: 'is text behind ---, which kubectl refuses: move it to the next line',
      };
      return;
    }
    // A first marker belongs to the document below it.
    if (at === start) continue;
    yield* readable(lines.slice(start, at), above);
    above += newlines(lines, start, next);
    start = next;
  }
  yield* readable(lines.slice(start), above);
}

const MARKER = '---';

function nextMarker(text: string, from: number): number {
  const found = text.indexOf(`\n${MARKER}`, from);
  return found < 0 ? found : found + 1;
}

function* readable(text: string, linesAbove: number): Generator<Piece | SyntaxProblem> {
  const body = text.replace(/^---[^\n]*/, '');
  // The first line that is neither blank nor a comment.
  const first = /^[ \t]*[^ \t\n#]/m.exec(body);
  if (first === null) return;
  if (/^\.\.\.(?=[ \t\n]|$)/.test(body.slice(first.index, first.index + 4))) {
    const line = linesAbove + newlines(body, 0, first.index) + 1;
    yield { line, column: 1, problem: 'is the end of a document (...) that has not begun: remove it' };
    return;
  }
  const content = text.replace(/^\uFEFF/, '');
  const found = FORBIDDEN.exec(content);
  if (found === null) yield { text: content, linesAbove };
  else {
    const code = found[0].codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0');
    const line = linesAbove + newlines(content, 0, found.index) + 1;
    const column = found.index - content.lastIndexOf('\n', found.index);
    yield {
      line,
      column,
      problem: `has the character U+${code}, which YAML does not allow here: remove it, or write it as an escape in double quotes`,
    };
  }
}

/** What kubectl refuses in YAML, and what it takes for the end of a line although editors do not. */
const FORBIDDEN = /[^\t\n\x20-\x7E\xA0-\u2027\u202A-\uD7FF\uE000-\uFEFE\uFF00-\uFFFD\u{10000}-\u{10FFFF}]/u;

function endOfJson(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"') at = endOfString(text, at);
    else if (char === '{' || char === '[') depth += 1;
    else if ((char === '}' || char === ']') && --depth <= 0) return at + 1;
  }
  return text.length;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}

function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

/** The end of what a sticky expression matches at a position. */
function skip(what: RegExp, text: string, from: number): number {
  what.lastIndex = from;
  return what.test(text) ? what.lastIndex : from;
}

function newlines(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf('\n', from); at >= 0 && at < to; at = text.indexOf('\n', at + 1)) count += 1;
  return count;
}
