import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'ava';

test('never gives the event loop a turn', async () => {
  const child = spawn('sleep', ['1000'], { stdio: 'inherit' });
  await once(child, 'spawn');
  const { promise, resolve } = Promise.withResolvers<void>();
  process.stdout.write(`started ${child.pid}\n`, () => resolve());
  await promise;
  // As a loop without end does, and takes no core from the tests beside it.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
