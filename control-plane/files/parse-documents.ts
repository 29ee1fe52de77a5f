import type { Document, Node } from 'yaml';
import { isMap, isNode, isSeq, LineCounter, parseDocument } from 'yaml';
import { unpackList } from '../mesh/object.ts';
import { cutDocuments, cutJson } from './cut.ts';
import type { Piece, SyntaxProblem } from './cut.ts';
import { NotJson, TOO_DEEP, yamlToJson } from './yaml-json.ts';

export interface DocumentsRead {
  /** A line for each object: the line of the file that it begins in, a space, and its JSON. Lists are unpacked. */
  readonly objects: string;
  /** One for each document that cannot be read; none of its objects is above. */
  readonly problems: readonly SyntaxProblem[];
}

/** What one file may come to. */
export interface ReadLimits {
  readonly objects: number;
  /** Of JSON, for all objects and for one. */
  readonly bytes: number;
  readonly objectBytes: number;
}

/** An API server takes no larger object either. */
export const READ_LIMITS: ReadLimits = { objects: 50_000, bytes: 16 << 20, objectBytes: 3 << 20 };

const MOST_PROBLEMS = 20;

interface LocatedJson {
  readonly json: string;
  readonly line: number;
}

/**
 * The objects in a YAML or JSON file, as `kubectl apply` reads it: JSON values one after another, else YAML cut at
 * its `---` lines. What is broken in one document does not swallow the others.
 */
export function parseDocuments(text: string, limits: ReadLimits = READ_LIMITS): DocumentsRead {
  const reading = new Reading(limits);
  const { values, rest, problem } = cutJson(text);
  for (const { value, line } of values)
    reading.take(
      flatten(value, null, () => line),
      line,
    );
  if (problem !== undefined) reading.reject(problem);
  if (rest !== undefined) {
    for (const piece of cutDocuments(rest)) {
      if (reading.isFull) break;
      if ('problem' in piece) reading.reject(piece);
      else readYaml(piece, reading);
    }
  }
  const { objects, problems } = reading;
  return { objects, problems };
}

/** The objects and problems of a file so far. */
class Reading {
  readonly limits: ReadLimits;
  readonly problems: SyntaxProblem[] = [];
  objects = '';
  #count = 0;

  constructor(limits: ReadLimits) {
    this.limits = limits;
  }

  get isFull(): boolean {
    return this.problems.length >= MOST_PROBLEMS;
  }

  reject(problem: SyntaxProblem): void {
    if (!this.isFull) this.problems.push(problem);
  }

  /** Takes all objects of a document, or none. */
  take(document: readonly LocatedJson[], line: number): void {
    const text = document.map((object) => `${object.line} ${object.json}\n`).join('');
    const problem = this.#excess(document, text);
    if (problem !== undefined) return this.reject({ line, column: 1, problem });
    this.objects += text;
    this.#count += document.length;
  }

  #excess(document: readonly LocatedJson[], text: string): string | undefined {
    const { objects, bytes, objectBytes } = this.limits;
    if (this.#count + document.length > objects)
      return `is more than ${objects} objects in one file: split it`;
    if (this.objects.length + text.length > bytes)
      return `is more than ${bytes} bytes of JSON in one file: split it`;
    const large = document.find(({ json }) => json.length > objectBytes);
    return (
      large &&
      `has an object of ${large.json.length} bytes, and Kubernetes takes ${objectBytes}: make it smaller`
    );
  }
}

function readYaml({ text, linesAbove }: Piece, reading: Reading): void {
  const lines = new LineCounter();
  const place = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line: line + linesAbove, column: col };
  };
  try {
    const document = parseDocument(text, { ...YAML_OPTIONS, lineCounter: lines });
    const [error] = document.errors;
    if (error !== undefined) {
      reading.reject({ ...place(error.pos[0]), problem: explain(error.code, error.message) });
      return;
    }
    const value: unknown = JSON.parse(yamlToJson(document, reading.limits.bytes));
    if (value === null) return;
    const lineOf = (node: Node | null): number => place(node?.range?.[0] ?? 0).line;
    reading.take(flatten(value, document.contents, lineOf), lineOf(document.contents));
  } catch (error) {
    if (error instanceof NotJson) reading.reject({ ...place(error.offset), problem: error.message });
    else if (error instanceof RangeError) reading.reject({ ...place(0), problem: TOO_DEEP });
    else throw error;
  }
}

/** With `silent` a second document would be no error. Scalars stay text here; which keys are there twice is not looked for, since that takes quadratic time. */
const YAML_OPTIONS = {
  schema: 'failsafe',
  resolveKnownTags: false,
  uniqueKeys: false,
  prettyErrors: false,
  logLevel: 'error',
} as const;

function explain(code: string, message: string): string {
  if (code === 'MULTIPLE_DOCS') {
    return 'is a second document, which kubectl leaves out: write a line with --- above it';
  }
  return code === 'RESOURCE_EXHAUSTION' ? TOO_DEEP : `is no valid YAML here: ${message}`;
}

/** Lists are replaced by their items, lists among those too. */
function flatten(
  value: unknown,
  node: Document['contents'] | Node,
  lineOf: (node: Node | null) => number,
): readonly LocatedJson[] {
  const items = unpackList(value);
  if (items.length === 1 && items[0] === value) return [{ json: JSON.stringify(value), line: lineOf(node) }];
  const nodes = isMap(node) ? node.get('items', true) : undefined;
  return items.flatMap((item, index) => {
    const itemNode = isSeq(nodes) ? nodes.items[index] : undefined;
    return flatten(item, isNode(itemNode) ? itemNode : node, lineOf);
  });
}
