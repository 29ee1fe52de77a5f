import test from 'ava';
import { mustRun, run } from './command.ts';

test('given a command that does not end, rejects with what it was and what it wrote', async (t) => {
  const command = ['sh', '-c', 'echo so far; exec sleep 600'];
  const { message } = await t.throwsAsync(() => run(command, '', { withinMs: 500 }));
  t.is(message, 'sh -c echo so far; exec sleep 600 did not end within 0.5 s; it wrote so far');
});

test('given a command that a signal ends, run resolves with a code and mustRun rejects', async (t) => {
  const command = ['sh', '-c', 'kill -KILL $$'];
  t.is((await run(command)).code, 128);
  await t.throwsAsync(() => mustRun(command), { message: /failed \(128\)/u });
});
