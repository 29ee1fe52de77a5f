import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test from 'ava';

const WARM_UP = join(import.meta.dirname, '..', '..', 'k8s', 'warm-up.ts');

async function warmUp(program: string): Promise<{ readonly code: number; readonly said: string }> {
  const child = spawn(process.execPath, [WARM_UP, process.execPath, '-e', program], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const said = text(child.stderr);
  const [code] = (await once(child, 'exit')) as [number];
  return { code, said: await said };
}

const PAGE = `
  const [host, port] = process.env.CORTEXFLOW_ADMIN_ADDRESS.split(':');
  require('node:http').createServer((_, response) => response.end()).listen(port, host);
`;

test('a program that starts, and ends in order, is fine', async (t) => {
  const { code, said } = await warmUp(`${PAGE} process.on('SIGTERM', () => process.exit(0));`);
  t.is(code, 0, said);
});

test('one that does not start is not', async (t) => {
  t.is((await warmUp('process.exit(3);')).code, 3);
});

test('one that cannot be told to end is not', async (t) => {
  const { code, said } = await warmUp(PAGE);
  t.is(code, 1);
  t.regex(said, /was ended by SIGTERM/u);
});
