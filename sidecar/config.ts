import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { hostname } from 'node:os';
import * as v from 'valibot';
import type * as Yaml from 'yaml';
import { findClash } from './config/clashes.ts';
import type { FieldPath, Mistake } from './config/mistakes.ts';
import { describeMistakes, fieldName } from './config/mistakes.ts';
import type { Interception } from './config/interception.ts';
import type { Upstream } from './config/upstreams.ts';
import { BootstrapSchema } from './config/schema.ts';
import { unknownFields } from './config/unknown-fields.ts';
import type { Variable } from './config/variables.ts';
import { VARIABLES } from './config/variables.ts';

export type { Mistake } from './config/mistakes.ts';
export { describeMistakes } from './config/mistakes.ts';
export type { Interception, PortRange } from './config/interception.ts';
export type { Upstream } from './config/upstreams.ts';

type Bootstrap = v.InferOutput<typeof BootstrapSchema>;

/** All that the sidecar is told at its start. Frozen. */
export interface SidecarConfig extends Omit<
  Bootstrap,
  'node' | 'upstreams' | 'lastGoodFile' | 'interception'
> {
  readonly node: {
    readonly id: string;
    readonly cluster: string;
    readonly zone: string;
    readonly nodeName: string;
    readonly namespace: string;
  };
  readonly upstreams: readonly Upstream[];
  readonly lastGoodFile: string | undefined;
  /** Undefined: none, as at the edge. */
  readonly interception: Interception | undefined;
}

export type LoadedConfig =
  | { readonly ok: true; readonly config: SidecarConfig }
  | { readonly ok: false; readonly mistakes: readonly Mistake[] };

/** The value of an environment variable. */
export type Lookup = (name: string) => string | undefined;

/** The bootstrap itself, a JSON object; or the name of its file: JSON, or YAML where its name says so. */
const BOOTSTRAP_VARIABLE = 'CORTEXFLOW_BOOTSTRAP';

/** Reads the bootstrap, if there is one, and the environment, which wins. Reports every mistake at once. */
export function loadConfig(lookup: Lookup): LoadedConfig {
  const bootstrap = given(lookup, BOOTSTRAP_VARIABLE);
  const isDocument = bootstrap?.trimStart().startsWith('{') ?? false;
  const path = isDocument ? BOOTSTRAP_VARIABLE : bootstrap;
  const file = readBootstrap(bootstrap, isDocument);
  if (!file.ok) {
    return { ok: false, mistakes: [file.mistake] };
  }
  const set = VARIABLES.filter(({ name }) => given(lookup, name) !== undefined);
  let fields = file.content;
  for (const { name, path: field, read } of set) {
    fields = withField(fields, field, read(lookup(name) ?? ''));
  }
  const checked = check(fields);
  if (!checked.ok) {
    const mistakes = checked.wrong.map(({ path: field, what }) => ({
      where: whereIs(field, set, path),
      what,
    }));
    return { ok: false, mistakes };
  }
  return { ok: true, config: deepFreeze(toConfig(checked.bootstrap)) };
}

/** The same with the mistakes as one text for a person. */
export function readConfig(
  lookup: Lookup,
): { readonly config: SidecarConfig } | { readonly problems: readonly string[] } {
  const loaded = loadConfig(lookup);
  return loaded.ok ? { config: loaded.config } : { problems: [describeMistakes(loaded.mistakes)] };
}

interface Wrong {
  readonly path: FieldPath;
  readonly what: string;
}

function check(
  fields: unknown,
):
  | { readonly ok: true; readonly bootstrap: Bootstrap }
  | { readonly ok: false; readonly wrong: readonly Wrong[] } {
  const parsed = v.safeParse(BootstrapSchema, fields);
  const wrong = [
    ...unknownFields(BootstrapSchema, fields),
    ...(parsed.issues ?? []).map((issue) => ({ path: pathOf(issue), what: issue.message })),
  ];
  if (!parsed.success || wrong.length > 0) return { ok: false, wrong };
  const clash = findClash(parsed.output);
  return clash === undefined ? { ok: true, bootstrap: parsed.output } : { ok: false, wrong: [clash] };
}

function toConfig({ node, upstreams, lastGoodFile, interception, ...rest }: Bootstrap): SidecarConfig {
  return {
    ...rest,
    node: { ...node, id: node.id ?? hostname(), namespace: node.namespace ?? '' },
    upstreams,
    lastGoodFile,
    interception,
  };
}

/** A variable that is set to nothing, as templates leave it, is not set. */
function given(lookup: Lookup, name: string): string | undefined {
  const value = lookup(name);
  return value === '' ? undefined : value;
}

function bad(where: string, what: string): ReadBootstrap {
  return { ok: false, mistake: { where, what } };
}

type ReadBootstrap =
  { readonly ok: true; readonly content: unknown } | { readonly ok: false; readonly mistake: Mistake };

function readBootstrap(bootstrap: string | undefined, isDocument: boolean): ReadBootstrap {
  if (bootstrap === undefined) return { ok: true, content: {} };
  return isDocument ? parseBootstrap(BOOTSTRAP_VARIABLE, bootstrap) : readFile(bootstrap);
}

function readFile(path: string): ReadBootstrap {
  try {
    return parseBootstrap(path, readFileSync(path, 'utf8'));
  } catch (error) {
    return bad(BOOTSTRAP_VARIABLE, `names a file that cannot be read: ${messageOf(error)}`);
  }
}

function parseBootstrap(path: string, text: string): ReadBootstrap {
  try {
    return { ok: true, content: parse(path, text) ?? {} };
  } catch (error) {
    return bad(path, `cannot be parsed: ${messageOf(error)}`);
  }
}

/** The YAML parser is loaded only where it is needed: it takes memory for as long as the sidecar runs. */
function parse(path: string, text: string): unknown {
  if (!/\.ya?ml$/u.test(path)) {
    return JSON.parse(text);
  }
  const yaml = createRequire(import.meta.url)('yaml') as typeof Yaml;
  return yaml.parse(text);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A copy in which one field has this value. What is in the way and has no fields is left for the schema to name. */
function withField(content: unknown, [name, ...rest]: FieldPath, value: unknown): unknown {
  if (name === undefined) {
    return value;
  }
  if (content !== undefined && (typeof content !== 'object' || content === null || Array.isArray(content))) {
    return content;
  }
  const fields = (content ?? {}) as Readonly<Record<string, unknown>>;
  return { ...fields, [name]: withField(fields[name], rest, value) };
}

function pathOf(issue: v.BaseIssue<unknown>): FieldPath {
  return (issue.path ?? []).map(({ key }) => (typeof key === 'number' ? key : String(key)));
}

function whereIs(path: FieldPath, set: readonly Variable[], file: string | undefined): string {
  const variable = set.find((candidate) => candidate.path.every((step, index) => step === path[index]));
  if (variable !== undefined) {
    const inside = fieldName(path.slice(variable.path.length));
    return [variable.name, inside, variable.form === undefined ? '' : `(${variable.form})`]
      .filter((part) => part !== '')
      .join(' ');
  }
  const field = fieldName(path);
  return [file ?? 'the bootstrap', field].filter((part) => part !== '').join(' ');
}

function deepFreeze<T extends object>(value: T): T {
  for (const field of Object.values(value)) {
    if (typeof field === 'object' && field !== null) {
      deepFreeze(field);
    }
  }
  return Object.freeze(value);
}
