import { existsSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, normalize } from 'node:path';

/** What a program consists of: its own files, relative to the top of the tree, and the packages that it names. */
export interface ProgramImports {
  readonly files: ReadonlySet<string>;
  readonly packages: ReadonlySet<string>;
}

/** `… from 'x'`, `import 'x'`, `import('x')`, `createRequire(import.meta.url)('x')`, `new URL('x', import.meta.url)`. */
const IMPORT =
  /^\s*(?<erased>import type\b|export type\b)?.*?(?:\bfrom |\bimport |\bimport\(|\.url\)\(|\bnew URL\()'(?<name>[^']+)'/gmu;

/** Follows all imports from the program's first files on, those too that are made only when they are needed. */
export function programImports(top: string, entries: readonly string[]): ProgramImports {
  const files = new Set<string>();
  const packages = new Set<string>();
  const ahead = [...entries];
  for (let file = ahead.pop(); file !== undefined; file = ahead.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    for (const name of importsOf(readFileSync(join(top, file), 'utf8'))) {
      if (!name.startsWith('.')) packages.add(packageOf(name));
      else if (existsSync(join(top, dirname(file), name))) ahead.push(normalize(join(dirname(file), name)));
    }
  }
  return { files, packages: packages.difference(BUILTIN) };
}

const BUILTIN: ReadonlySet<string> = new Set(builtinModules.flatMap((name) => [name, `node:${name}`]));

function importsOf(source: string): string[] {
  // An import may go over several lines, the last of which begins with its closing brace.
  const joined = source.replaceAll(/^(import|export)[^;]*;/gmu, (statement) =>
    statement.replaceAll('\n', ' '),
  );
  return [...joined.matchAll(IMPORT)]
    .filter(({ groups }) => groups?.['erased'] === undefined)
    .map(({ groups }) => groups?.['name'] ?? '');
}

function packageOf(name: string): string {
  if (name.startsWith('node:')) return name;
  return name.split('/', name.startsWith('@') ? 2 : 1).join('/');
}
