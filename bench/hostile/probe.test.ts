import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Probe } from './victim.ts';

/** Takes 300 ms of CPU in one turn whenever anything arrives, says so, and begins with a line. */
const VICTIM = `
  const millis = () => { const { user, system } = process.threadCpuUsage(); return (user + system) / 1e3; };
  process.stdin.on('data', () => {
    const end = millis() + 300;
    while (millis() < end);
    setTimeout(() => process.stdout.write('held'), 50);
  });
  process.stdout.write('begun');`;

test('given a turn that takes 300 ms of CPU, the probe reports it once', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cortexflow-probe-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const probe = new Probe(folder, 'a turn');
  const env = { PATH: process.env['PATH'], ...probe.environment };
  const child = spawn(process.execPath, ['--eval', VICTIM], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  await probe.take(child.pid!);
  child.stdin.write('go');
  await once(child.stdout, 'data');
  t.true((await probe.take(child.pid!)).cpuMs >= 300);
  t.true((await probe.take(child.pid!)).cpuMs < 300);
});
