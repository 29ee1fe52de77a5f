import type { Document } from 'yaml';
import { isMap, isNode, isSeq, LineCounter, parseAllDocuments } from 'yaml';
import { unpackList } from '../mesh/object.ts';

/** One object of a file and the line that it begins in, from 1. */
export interface LocatedObject {
  readonly object: unknown;
  readonly line: number;
}

export interface SyntaxProblem {
  readonly line: number;
  readonly column: number;
  /** What is wrong there and what to do. */
  readonly problem: string;
}

export interface DocumentsRead {
  /** Lists are unpacked, empty documents left out. */
  readonly objects: readonly LocatedObject[];
  /** One for each document that is no YAML; none of its objects is above. */
  readonly problems: readonly SyntaxProblem[];
}

/** How many times the anchors of one document may be repeated all in all: a few lines could stand for gigabytes. */
const MOST_ALIASES = 1_000;

/** The documents of a YAML or JSON text. It takes about a second and 70 MB for each MiB. */
export function parseDocuments(text: string): DocumentsRead {
  const lines = new LineCounter();
  const objects: LocatedObject[] = [];
  const problems: SyntaxProblem[] = [];
  for (const document of parseYaml(text, lines)) {
    const syntaxError = document.errors[0];
    if (syntaxError !== undefined) {
      const { line, col } = lines.linePos(syntaxError.pos[0]);
      problems.push({ line, column: col, problem: `is no valid YAML here: ${syntaxError.message}` });
      continue;
    }
    const { line, col } = lines.linePos(document.contents?.range[0] ?? 0);
    try {
      // Of an alias bomb nothing is built: the count comes first.
      const object: unknown = document.toJS({ maxAliasCount: MOST_ALIASES });
      if (object === null || object === undefined) continue;
      for (const located of locate(document, object, lines)) objects.push(located);
    } catch (error) {
      problems.push({ line, column: col, problem: explainFailedBuild(error) });
    }
  }
  return { objects, problems };
}

function parseYaml(text: string, lineCounter: LineCounter): readonly Document.Parsed[] {
  const documents = parseAllDocuments(text, {
    lineCounter,
    prettyErrors: false,
    merge: true,
    logLevel: 'silent',
  });
  return 'empty' in documents ? [] : documents;
}

function locate(document: Document.Parsed, object: unknown, lines: LineCounter): readonly LocatedObject[] {
  const items = isMap(document.contents) ? document.contents.get('items', true) : undefined;
  return unpackList(object).map((item, index) => {
    const itemNode = isSeq(items) && item !== object ? items.items[index] : document.contents;
    const start = isNode(itemNode) ? itemNode.range?.[0] : undefined;
    return { object: item, line: lines.linePos(start ?? 0).line };
  });
}

function explainFailedBuild(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (message.startsWith('Excessive alias count')) {
    return `repeats its anchors more than ${MOST_ALIASES} times: write out what they stand for`;
  }
  return `cannot be built from its YAML: ${message}`;
}
