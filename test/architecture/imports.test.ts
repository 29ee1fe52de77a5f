import { readFileSync } from 'node:fs';
import test from 'ava';
import { circlesIn, importsOf, importsOfTree, isFree, violation } from './imports.ts';
import { ROOMS } from './rooms.ts';

const imports = importsOfTree();
const ofPrograms = imports.filter(({ from }) => !isFree(from));

test('every import stays within the borders of its room', (t) => {
  t.true(imports.length > 1000);
  t.deepEqual(
    imports.map(violation).filter((one) => one !== undefined),
    [],
  );
});

test('no files import each other in a circle, not even types', (t) => {
  t.deepEqual(circlesIn(imports), []);
});

test('each room exists and imports everything that it may', (t) => {
  for (const [room, { imports: allowed, packages }] of Object.entries(ROOMS)) {
    const targets = ofPrograms.filter(({ from }) => from.startsWith(`${room}/`)).map(({ to }) => to);
    for (const one of [...allowed, ...packages.filter((name) => name !== 'node:*')]) {
      const isUsed = targets.some((to) => to === one || to.startsWith(`${one}/`));
      t.true(isUsed, `${room} may import ${one}, and does not: take it out of rooms.ts`);
    }
  }
});

for (const [from, to] of [
  ['sidecar/dns/zone.ts', 'sidecar/message/limits.ts'],
  ['sidecar/dns/zone.ts', 'sidecar/config.ts'],
  ['sidecar/dns/upstream/cache.ts', 'wire/pod.ts'],
  ['sidecar/services/table.ts', 'sidecar/message/limits.ts'],
  ['sidecar/net/tcp.ts', 'sidecar/dns/zone.ts'],
  ['sidecar/balance/picker.ts', 'node:fs'],
  ['sidecar/balance/picker.ts', 'process/log.ts'],
  ['control-plane/mesh/mesh.ts', 'control-plane/xds/engine.ts'],
  ['control-plane/xds/engine.ts', 'gen/cortexflow/mesh/v1/service_pb.ts'],
  ['injector/app.ts', 'sidecar/config.ts'],
  ['process/log.ts', 'process/main.ts'],
] as const) {
  test(`given an import of ${to} in ${from}, refuses it`, (t) => {
    t.true(violation({ from, to })?.startsWith(`${from} imports ${to}`));
  });
}

test('imports are found in whatever form they take', (t) => {
  const text = [
    "import type { A } from '../a.ts';",
    "import {\n  b,\n  type C,\n} from './b.ts';",
    "export * from './c.ts';",
    "import 'reflect-metadata';",
    "  const d = await import('./d.ts');",
    "  const e = require('node:http');",
    "const text = 'no import';",
  ].join('\n');
  t.deepEqual(
    importsOf('room/file.ts', text).map(({ to }) => to),
    ['a.ts', 'room/b.ts', 'room/c.ts', 'reflect-metadata', 'room/d.ts', 'node:http'],
  );
});

test('given two files that import each other by way of a third, names the circle', (t) => {
  const circle = [
    { from: 'a.ts', to: 'b.ts' },
    { from: 'b.ts', to: 'c.ts' },
    { from: 'c.ts', to: 'a.ts' },
    { from: 'd.ts', to: 'a.ts' },
  ];
  t.deepEqual(circlesIn(circle), [['a.ts', 'b.ts', 'c.ts']]);
});

test('the map in docs/architecture.md has one row for each room, with what it may import', (t) => {
  const map = readFileSync(new URL('../../docs/architecture.md', import.meta.url), 'utf8');
  const rows = map.split('\n').filter((line) => line.startsWith('| `'));
  for (const [room, { imports: allowed }] of Object.entries(ROOMS)) {
    const cells = rows
      .map((row) => row.split('|').map((cell) => cell.trim()))
      .find(([, name]) => name === `\`${room}/\``);
    const expected = allowed.length === 0 ? 'nothing of ours' : allowed.map((one) => `\`${one}\``).join(', ');
    t.is(cells?.[3], expected, room);
  }
});
