import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { unpackList } from '../mesh/object.ts';
import type { DocumentsRead } from './parse-documents.ts';
import { parseDocuments } from './parse-documents.ts';

/** Never rejects. */
export type Parse = (text: string) => Promise<DocumentsRead>;

/** Longer ones would take the event loop for more than some 50 ms. In UTF-16 units. */
const LONG = 64 * 1024;
/** Enough for a List of 13 MiB. */
const MOST_MEGABYTES = 1_024;

/**
 * Parses so that others have their turn: between two short texts, and during a long one, which goes to a thread
 * of its own. A thread lives for one text, since the memory of a parsed megabyte is better given back. Long JSON
 * needs none: the engine's own parser is fast, and knows no lines, so that its objects all count as beginning
 * where it begins. Once `signal` says so, nothing is parsed any more and every text is empty. `mostMegabytes`:
 * of the heap of a thread; a text that needs more fails alone.
 */
export function createParser(signal: AbortSignal, mostMegabytes = MOST_MEGABYTES): Parse {
  return async (text) => {
    await setImmediate();
    if (text.length <= LONG) return parseDocuments(text);
    return parseJson(text) ?? parseAside(text, { signal, mostMegabytes });
  };
}

/** Undefined: it is none, and may yet be YAML. */
function parseJson(text: string): DocumentsRead | undefined {
  const start = text.search(/\S/);
  if (text[start] !== '{') return undefined;
  try {
    const object: unknown = JSON.parse(text);
    const line = text.slice(0, start).split('\n').length;
    return { objects: unpackList(object).map((item) => ({ object: item, line })), problems: [] };
  } catch {
    return undefined;
  }
}

interface Bounds {
  readonly signal: AbortSignal;
  readonly mostMegabytes: number;
}

async function parseAside(text: string, { signal, mostMegabytes }: Bounds): Promise<DocumentsRead> {
  if (signal.aborted) return NOTHING;
  const thread = new Worker(new URL('./parse-thread.ts', import.meta.url), {
    workerData: text,
    resourceLimits: { maxOldGenerationSizeMb: mostMegabytes },
  });
  try {
    const [read] = (await once(thread, 'message', { signal })) as [DocumentsRead];
    return read;
  } catch (error) {
    if (signal.aborted) return NOTHING;
    return { objects: [], problems: [{ line: 1, column: 1, problem: explain(error) }] };
  } finally {
    await thread.terminate();
  }
}

const NOTHING: DocumentsRead = { objects: [], problems: [] };

function explain(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ERR_WORKER_OUT_OF_MEMORY'
    ? 'needs too much memory to be parsed: split the document, or write it as JSON'
    : `cannot be parsed: ${message}`;
}
