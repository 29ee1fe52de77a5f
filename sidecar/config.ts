import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { hostname } from 'node:os';
import * as v from 'valibot';
import type * as Yaml from 'yaml';
import type { FieldPath, Mistake } from './config/mistakes.ts';
import { fieldName } from './config/mistakes.ts';
import type { Upstream } from './config/schema.ts';
import { BootstrapSchema } from './config/schema.ts';
import { unknownFields } from './config/unknown-fields.ts';
import type { Variable } from './config/variables.ts';
import { VARIABLES } from './config/variables.ts';

export type { Mistake } from './config/mistakes.ts';
export { describeMistakes } from './config/mistakes.ts';
export type { Upstream } from './config/schema.ts';

type Bootstrap = v.InferOutput<typeof BootstrapSchema>;

/** All that the sidecar is told at its start. Frozen. */
export interface SidecarConfig extends Omit<Bootstrap, 'node' | 'upstreams' | 'lastGoodFile'> {
  readonly node: {
    readonly id: string;
    readonly cluster: string;
    readonly zone: string;
    readonly nodeName: string;
    readonly namespace: string;
  };
  readonly upstreams: readonly Upstream[];
  readonly lastGoodFile: string | undefined;
}

export type LoadedConfig =
  | { readonly ok: true; readonly config: SidecarConfig }
  | { readonly ok: false; readonly mistakes: readonly Mistake[] };

/** The value of an environment variable. */
export type Lookup = (name: string) => string | undefined;

/** Names the bootstrap file: JSON, or YAML where its name says so. */
const FILE_VARIABLE = 'CORTEXFLOW_BOOTSTRAP';

/** Reads the bootstrap file, if one is named, and the environment, which wins. Reports every mistake at once. */
export function loadConfig(lookup: Lookup): LoadedConfig {
  const path = given(lookup, FILE_VARIABLE);
  const file = path === undefined ? { ok: true as const, content: {} } : readBootstrap(path);
  if (!file.ok) {
    return { ok: false, mistakes: [file.mistake] };
  }
  const set = VARIABLES.filter(({ name }) => given(lookup, name) !== undefined);
  let fields = file.content;
  for (const { name, path: field, read } of set) {
    fields = withField(fields, field, read(lookup(name) ?? ''));
  }
  const parsed = v.safeParse(BootstrapSchema, fields);
  const wrong = [
    ...unknownFields(BootstrapSchema, fields),
    ...(parsed.issues ?? []).map((issue) => ({ path: pathOf(issue), what: issue.message })),
  ];
  if (!parsed.success || wrong.length > 0) {
    const mistakes = wrong.map((mistake) => ({
      where: whereIs(mistake.path, set, path),
      what: mistake.what,
    }));
    return { ok: false, mistakes };
  }
  const clash = clashWithAdmin(parsed.output);
  if (clash !== undefined) {
    const what = 'is where the admin page listens: give one of them another port';
    return { ok: false, mistakes: [{ where: whereIs(clash, set, path), what }] };
  }
  return { ok: true, config: deepFreeze(toConfig(parsed.output)) };
}

/** The upstream that would take the admin page's address, if any. */
function clashWithAdmin({ upstreams, admin }: Bootstrap): FieldPath | undefined {
  const ours = admin.host === 'localhost' ? '127.0.0.1' : admin.host;
  const index = upstreams.findIndex(
    ({ listen: { host, port } }) =>
      port !== 0 && port === admin.port && (host === ours || isWildcard(host) || isWildcard(ours)),
  );
  return index < 0 ? undefined : ['upstreams', index, 'listen'];
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

function toConfig({ node, upstreams, lastGoodFile, ...rest }: Bootstrap): SidecarConfig {
  return {
    ...rest,
    node: { ...node, id: node.id ?? hostname(), namespace: node.namespace ?? '' },
    upstreams: upstreams.map(({ listen, service, balance }) => ({
      listen,
      service: service.service,
      port: service.port,
      protocol: service.protocol,
      balance,
    })),
    lastGoodFile,
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

function readBootstrap(path: string): ReadBootstrap {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return bad(FILE_VARIABLE, `names a file that cannot be read: ${messageOf(error)}`);
  }
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
