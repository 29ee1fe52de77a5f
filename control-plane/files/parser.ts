import type { SyntaxProblem } from './cut.ts';
import type { DocumentsRead } from './parse-documents.ts';
import type { Parsed } from './parse-lane.ts';
import { ParseLane } from './parse-lane.ts';

export interface ParserTimes {
  /** How long a text may take before it has to wait for other slow ones. */
  readonly quickMs: number;
  /** How long a text may take at all. */
  readonly slowMs: number;
}

export interface ParseRequest {
  readonly signal: AbortSignal;
  /** Whether the last version of this file was slow. */
  readonly isSlow: boolean;
  /** Called when the text turns out slow. */
  readonly onSlow: () => void;
}

export interface ParseResult {
  readonly read: DocumentsRead;
  readonly isSlow: boolean;
}

/** Longer texts may take long, and go where slow ones do. In UTF-16 units. */
const LONG = 256 * 1024;

/**
 * Parses off the main thread, in two lanes: a text that is slow in the quick one is started anew in the slow one, so
 * that it holds up slow texts alone. Each lane is one thread, which bounds memory and cores.
 */
export class Parser {
  readonly #times: ParserTimes;
  readonly #quick: ParseLane;
  readonly #slow: ParseLane;

  constructor(times: ParserTimes) {
    this.#times = times;
    this.#quick = new ParseLane({ megabytes: 256, milliseconds: times.quickMs });
    this.#slow = new ParseLane({ megabytes: 1_024, milliseconds: times.slowMs });
  }

  /** Undefined: cancelled by its signal. Never rejects. */
  async parse(text: string, { signal, isSlow, onSlow }: ParseRequest): Promise<ParseResult | undefined> {
    if (text.length <= LONG && !isSlow) {
      const parsed = await this.#quick.parse(text, signal);
      if (parsed.outcome === 'read') return { read: parsed.read, isSlow: false };
      if (parsed.outcome === 'cancelled') return undefined;
    }
    onSlow();
    const parsed = await this.#slow.parse(text, signal);
    if (parsed.outcome === 'cancelled') return undefined;
    if (parsed.outcome !== 'read')
      return { read: { objects: '', problems: [this.#problem(parsed)] }, isSlow: true };
    return { read: parsed.read, isSlow: parsed.milliseconds > this.#times.quickMs };
  }

  /** Resolves when no thread is left. Cancel what is being parsed first. */
  async close(): Promise<void> {
    await Promise.all([this.#quick.close(), this.#slow.close()]);
  }

  #problem(parsed: Exclude<Parsed, { outcome: 'read' | 'cancelled' }>): SyntaxProblem {
    return { line: 1, column: 1, problem: this.#explain(parsed) };
  }

  #explain(parsed: Exclude<Parsed, { outcome: 'read' | 'cancelled' }>): string {
    if (parsed.outcome === 'failed') return `cannot be parsed: ${parsed.message}`;
    return parsed.outcome === 'late'
      ? `takes more than ${this.#times.slowMs / 1000} s to parse: split the file, or write it as JSON`
      : 'needs too much memory to be parsed: split the file, or write it as JSON';
  }
}
