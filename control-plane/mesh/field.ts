const SHOWN_LENGTH = 60;
const MOST_PROBLEMS = 20;
/** More than the API server takes of any text that is read here: the longest, a qualified name, has 317. */
const LONGEST_TEXT = 512;

/** What is wrong with one object, bounded however much that is. */
export class Problems {
  readonly #sentences = new Set<string>();
  #unsaid = 0;

  add(sentence: string): void {
    if (this.#sentences.has(sentence)) return;
    if (this.#sentences.size < MOST_PROBLEMS) this.#sentences.add(sentence);
    else this.#unsaid += 1;
  }

  get isEmpty(): boolean {
    return this.#sentences.size === 0;
  }

  get sentences(): readonly string[] {
    return this.#unsaid === 0
      ? [...this.#sentences]
      : [...this.#sentences, `and ${this.#unsaid} more problems`];
  }
}

/**
 * A place in an object of unknown shape. Reading never stops at a mistake: it notes the path, what is there
 * and what to do, and goes on with a harmless value, so that one pass finds every problem. As in Kubernetes,
 * null is the same as absent.
 */
export class Field {
  readonly value: unknown;
  readonly path: string;
  readonly #problems: Problems;

  constructor(value: unknown, path: string, problems: Problems) {
    this.value = value ?? undefined;
    this.path = path;
    this.#problems = problems;
  }

  /** The same place, whose problems are noted elsewhere. */
  withProblems(problems: Problems): Field {
    return new Field(this.value, this.path, problems);
  }

  get isPresent(): boolean {
    return this.value !== undefined;
  }

  /** Absent, or the empty string, which the Kubernetes API takes for absent where a word is expected. */
  get isBlank(): boolean {
    return this.value === undefined || this.value === '';
  }

  /** Absent, or a list without entries. */
  get isEmptyList(): boolean {
    return this.value === undefined || (Array.isArray(this.value) && this.value.length === 0);
  }

  /** Notes that what stands here cannot be used. `remedy` begins with a verb. */
  reject(remedy: string): void {
    this.#problems.add(`${this.describe()}: ${remedy}`);
  }

  /** `spec.type is "Custer"`, or `spec.type is missing`. */
  describe(): string {
    return `${this.path} is ${this.isPresent ? shown(this.value) : 'missing'}`;
  }

  /** A field of the object here; a field of an absent object is absent. */
  at(key: string): Field {
    const path = /^\w+$/.test(key) ? joined(this.path, key) : `${this.path}["${key}"]`;
    const object = this.value;
    if (this.isPresent && !isObject(object)) this.reject('use an object');
    const held = isObject(object) && Object.hasOwn(object, key) ? object[key] : undefined;
    return new Field(held, path, this.#problems);
  }

  /** Absent is empty. Of a list with more than `most` entries none is looked at. */
  list(most = Infinity): readonly Field[] {
    if (!this.isPresent) return [];
    if (Array.isArray(this.value)) {
      if (this.value.length > most) {
        this.reject(`use at most ${most} entries`);
        return [];
      }
      return this.value.map((item, index) => new Field(item, `${this.path}[${index}]`, this.#problems));
    }
    this.reject('use a list');
    return [];
  }

  /** Absent is the empty string. */
  text(): string {
    if (!this.isPresent) return '';
    if (typeof this.value === 'string') {
      if (this.value.length <= LONGEST_TEXT) return this.value;
      this.reject(`use at most ${LONGEST_TEXT} characters`);
      return '';
    }
    this.reject('use text, in quotes where it looks like a number or a boolean');
    return '';
  }

  flag(absent: boolean): boolean {
    if (!this.isPresent) return absent;
    if (typeof this.value === 'boolean') return this.value;
    this.reject('use true or false');
    return absent;
  }

  integer(least: number, most: number): number {
    const { value } = this;
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
    this.reject(`use a number from ${least} to ${most}`);
    return least;
  }

  /** One of the keys of `meanings`, as what it means; blank is the first of them. */
  choice<Meaning>(meanings: Readonly<Record<string, Meaning>>): Meaning {
    const words = Object.keys(meanings);
    const word = this.isBlank ? words[0] : this.value;
    if (typeof word === 'string' && Object.hasOwn(meanings, word)) return meanings[word] as Meaning;
    this.reject(`use ${words.slice(0, -1).join(', ')} or ${words.at(-1)}`);
    return Object.values(meanings)[0] as Meaning;
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value as a message quotes it: short, on one line, whatever it is. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (isObject(value)) return 'an object';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length <= SHOWN_LENGTH ? text : `${text.slice(0, SHOWN_LENGTH)}…`;
}

function joined(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}
