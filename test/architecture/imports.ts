import { globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Room, ROOMS } from './rooms.ts';

/** One file of ours that imports a file of ours, from the top of the tree, or a module of npm or Node. */
export interface Import {
  readonly from: string;
  readonly to: string;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const IGNORED = /^(?:node_modules|gen)\//u;

/** `import … from`, `export … from`, `import '…'`, `import('…')`, `require('…')`: types included. */
const SPECIFIER =
  /(?:^(?:import|export)\b[^;'"]*?from\s+|^import\s+|\bimport\(\s*|\brequire\(\s*)'([^']+)'/gmu;

/** Every import of every source, type-only ones too. */
export function importsOfTree(): Import[] {
  return globSync('**/*.ts', { cwd: root, exclude: (name) => name === 'node_modules' })
    .filter((file) => !IGNORED.test(file))
    .flatMap((file) => importsOf(file, readFileSync(`${root}/${file}`, 'utf8')));
}

export function importsOf(file: string, text: string): Import[] {
  return [...text.matchAll(SPECIFIER)].map(([, specifier = '']) => ({
    from: file,
    to: specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : specifier,
  }));
}

/** What is wrong with an import, for the developer who wrote it; undefined where it may stand. */
export function violation({ from, to }: Import): string | undefined {
  const home = roomOf(from);
  if (/(?:^|\/)main\.ts$/u.test(to)) {
    return `${from} imports ${to}: a main composes one program, and nothing builds on it.`;
  }
  if (isFree(from)) return undefined;
  if (home === undefined) return `${from} is in no room: add its folder to test/architecture/rooms.ts.`;
  const { imports, packages, because } = ROOMS[home] as Room;
  const isAllowed = /\.m?ts$|\.mjs$/u.test(to) ? isWithin(to, home, imports) : isListed(to, packages);
  return isAllowed ? undefined : `${from} imports ${to}, which ${home} may not. ${because}`;
}

/** Tests, benches and examples may import anything but a `main`. */
export function isFree(file: string): boolean {
  return /^(?:test|bench|examples)\/|\.test\.ts$/u.test(file);
}

/** Files that import each other in a circle, each circle from its first file on; types count. */
export function circlesIn(imports: readonly Import[]): string[][] {
  const next = Map.groupBy(imports, ({ from }) => from);
  const circles: string[][] = [];
  const finished = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file);
    if (at !== -1) circles.push(path.slice(at));
    if (at !== -1 || finished.has(file)) return;
    for (const { to } of next.get(file) ?? []) visit(to, [...path, file]);
    finished.add(file);
  };
  for (const file of next.keys()) visit(file, []);
  return circles;
}

/** The innermost room that a file lies in. */
function roomOf(file: string): string | undefined {
  const folders = file.split('/').slice(0, -1);
  for (let depth = folders.length; depth > 0; depth -= 1) {
    const folder = folders.slice(0, depth).join('/');
    if (folder in ROOMS) return folder;
  }
  return undefined;
}

function isWithin(file: string, home: string, imports: readonly string[]): boolean {
  const room = roomOf(file);
  if (room === home) return true;
  return imports.some((allowed) =>
    allowed.endsWith('.ts')
      ? allowed === file
      : allowed === room || (file.startsWith(`${allowed}/`) && room === roomOf(`${allowed}/x`)),
  );
}

function isListed(module: string, packages: readonly string[]): boolean {
  return packages.includes(module) || (module.startsWith('node:') && packages.includes('node:*'));
}
