import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { readOptions } from '../../injector/options.ts';

const TOP = join(import.meta.dirname, '..', '..');

function read(...path: readonly string[]): string {
  return readFileSync(join(TOP, ...path), 'utf8');
}

/** The annotations of the first column of the table in docs/kubernetes.md. */
function documented(): string[] {
  const [, table = ''] = /^## Annotations$([^]*?)^## /mu.exec(read('docs', 'kubernetes.md')) ?? [];
  const firstColumn = table.replaceAll(/^(?!\|).*$|(?<=^\|[^|]*\|).*$/gmu, '');
  return firstColumn.match(/(?<=`)cortexflow\.io\/[a-z-]+(?=`)/gu) ?? [];
}

test('every annotation is documented, and none that does nothing', (t) => {
  const source = read('injector', 'options.ts');
  const known = [...source.matchAll(/\[`\$\{PREFIX\}(?<name>[a-z-]+)`\]/gu)].map(
    ({ groups }) => `cortexflow.io/${groups?.['name']}`,
  );
  t.true(known.length > 10);
  t.deepEqual(documented().toSorted(), known.toSorted());
  for (const name of documented()) t.deepEqual(readOptions({ [name]: 'x' }).warnings, [], name);
});

/** The names of all metrics that these programs show. */
function metricsOf(...programs: readonly string[]): Set<string> {
  const files = programs.flatMap((program) => globSync(`${program}/**/*.ts`, { cwd: TOP }));
  const sources = files.filter((file) => !file.endsWith('.test.ts')).map((file) => read(file));
  return new Set(
    sources.flatMap(
      (source) => source.match(/(?<=')cortexflow_[a-z_]+(?=')|(?<=^\s*)cortexflow_[a-z_]+(?=:)/gmu) ?? [],
    ),
  );
}

test('every metric of a sidecar and of the injector is documented, and none that there is not', (t) => {
  const pages = ['kubernetes.md', 'udp.md', 'dns.md', 'messages.md']
    .map((page) => read('docs', page))
    .join('');
  const rows = pages.matchAll(/^\| `(?<name>cortexflow_[a-z_]+)[`{]/gmu);
  const shown = [...rows].map(({ groups }) => groups?.['name'] ?? '');
  const registered = metricsOf('sidecar', 'injector');
  t.true(registered.size > 20);
  t.deepEqual(shown.toSorted(), [...registered].toSorted());

  const all = registered.union(metricsOf('control-plane', 'process', 'api-server'));
  const text = ['README.md', ...globSync('docs/*.md', { cwd: TOP })].map((file) => read(file)).join('');
  const named = new Set(text.match(/\bcortexflow_[a-z_]+/gu));
  t.deepEqual([...named.difference(all)], []);
});

test('the examples of annotations are right', (t) => {
  const rows = read('docs', 'kubernetes.md').matchAll(
    /^\| `(?<name>cortexflow\.io\/[a-z-]+)`[^|]*\| `(?<value>[^`]+)`/gmu,
  );
  for (const { groups: { name = '', value = '' } = {} } of rows) {
    t.deepEqual(readOptions({ [name]: value.replaceAll('"', '') }).mistakes, [], `${name}: ${value}`);
  }
});
