import { setImmediate } from 'node:timers/promises';
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

/**
 * Reads one file, version after version. The file is cut at its `---` lines first: what is broken in one
 * document then cannot swallow those after it, and documents that are the same as in the version before are not
 * parsed again. Between two documents others have their turn: a large file takes seconds. Never rejects.
 */
export class DocumentReader {
  #chunks = new Map<string, DocumentsRead>();

  async read(text: string): Promise<DocumentsRead> {
    const chunks = new Map<string, DocumentsRead>();
    const objects: LocatedObject[] = [];
    const problems: SyntaxProblem[] = [];
    for (const chunk of cut(text)) {
      const read = chunks.get(chunk.text) ?? this.#chunks.get(chunk.text) ?? (await parseInTurn(chunk.text));
      chunks.set(chunk.text, read);
      for (const { object, line } of read.objects) objects.push({ object, line: line + chunk.linesAbove });
      for (const problem of read.problems) {
        problems.push({ ...problem, line: problem.line + chunk.linesAbove });
      }
    }
    this.#chunks = chunks;
    return { objects, problems };
  }
}

interface Chunk {
  readonly text: string;
  readonly linesAbove: number;
}

/**
 * `---` at the start of a line begins a document wherever it stands, in a quoted text or a block as well (YAML
 * 1.2.2, section 9.1.2). Only a directive belongs to the marker below it: such a file is left in one piece.
 */
function cut(text: string): readonly Chunk[] {
  if (/^%/m.test(text)) return [{ text, linesAbove: 0 }];
  const starts = [...text.matchAll(/^---(?=\s|$)/gm)].map(({ index }) => index);
  const chunks: Chunk[] = [];
  let linesAbove = 0;
  for (const [index, start] of [0, ...starts].entries()) {
    const piece = text.slice(start, starts[index] ?? text.length);
    chunks.push({ text: piece, linesAbove });
    linesAbove += piece.split('\n').length - 1;
  }
  return chunks;
}

async function parseInTurn(text: string): Promise<DocumentsRead> {
  await setImmediate();
  return parseChunk(text);
}

function parseChunk(text: string): DocumentsRead {
  const lines = new LineCounter();
  const objects: LocatedObject[] = [];
  const problems: SyntaxProblem[] = [];
  for (const document of parseDocuments(text, lines)) {
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

function parseDocuments(text: string, lineCounter: LineCounter): readonly Document.Parsed[] {
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
