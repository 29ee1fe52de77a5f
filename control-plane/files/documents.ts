import type { Parse } from './parser.ts';
import type { DocumentsRead, LocatedObject, SyntaxProblem } from './parse-documents.ts';

/**
 * Reads one file, version after version. The file is cut at its `---` lines first: what is broken in one
 * document then cannot swallow those after it, and documents that are the same as in the version before are not
 * parsed again. Never rejects.
 */
export class DocumentReader {
  readonly #parse: Parse;
  #chunks = new Map<string, DocumentsRead>();

  constructor(parse: Parse) {
    this.#parse = parse;
  }

  async read(text: string): Promise<DocumentsRead> {
    const chunks = new Map<string, DocumentsRead>();
    const objects: LocatedObject[] = [];
    const problems: SyntaxProblem[] = [];
    for (const chunk of cut(text)) {
      const read = chunks.get(chunk.text) ?? this.#chunks.get(chunk.text) ?? (await this.#parse(chunk.text));
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
