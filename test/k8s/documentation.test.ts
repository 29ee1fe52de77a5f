import { readFileSync } from 'node:fs';
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

test('the examples of annotations are right', (t) => {
  const rows = read('docs', 'kubernetes.md').matchAll(
    /^\| `(?<name>cortexflow\.io\/[a-z-]+)`[^|]*\| `(?<value>[^`]+)`/gmu,
  );
  for (const { groups: { name = '', value = '' } = {} } of rows) {
    t.deepEqual(readOptions({ [name]: value.replaceAll('"', '') }).mistakes, [], `${name}: ${value}`);
  }
});
