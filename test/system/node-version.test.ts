import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const TOP = fileURLToPath(new URL('../..', import.meta.url));
const PROGRAMS = [
  'control-plane/main.ts',
  'sidecar/main.ts',
  'sidecar/proxy-init/main.ts',
  'injector/main.ts',
];
/** Node loads TypeScript from 22.18 on; the programs need a later one. */
const OLD = `data:text/javascript,
  Object.defineProperty(process, 'version', { value: 'v24.1.0' });
  Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '24.1.0' } });`;

interface Ended {
  readonly code: unknown;
  readonly stderr: string;
}

function runNode(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [...args], { cwd: TOP, timeout: 60_000 }, (error, _stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stderr });
    });
  });
}

test('given too old a Node, every program says in one line which is needed and how to get it', async (t) => {
  t.timeout(300_000);
  const files = [...PROGRAMS, 'examples/start.ts', 'process/node-version.mjs'];
  // One after another: all at once they starve each other on a small machine.
  for (const file of files) {
    const { code, stderr } = await runNode('--import', OLD, file);
    t.is(code, 1, file);
    t.regex(stderr, /^CortexFlow needs Node 26 or newer, and this is v24\.1\.0: run npm ci, .*\n$/u, file);
  }
});

test('given the Node of this tree, the check is silent', async (t) => {
  t.deepEqual(await runNode('process/node-version.mjs'), { code: 0, stderr: '' });
});

test('npm checks the version before it runs a program, since an old Node cannot load TypeScript', (t) => {
  const { scripts } = JSON.parse(readFileSync(`${TOP}package.json`, 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const name of ['start', 'control-plane', 'sidecar', 'injector']) {
    t.is(scripts[`pre${name}`], 'node process/node-version.mjs', name);
  }
});
