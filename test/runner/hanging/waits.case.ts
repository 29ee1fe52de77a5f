import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import test from 'ava';

test('waits for what never comes', async (t) => {
  t.timeout(500);
  const server = createServer().listen(0, '127.0.0.1');
  const child = spawn('sh', ['-c', 'sleep 1000 & echo "started $$ $!"; wait'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  t.teardown(() => {
    server.close();
    console.log('torn down');
  });
  await new Promise((resolve) => child.once('exit', resolve));
  t.pass();
});

test('goes on beside it', (t) => {
  t.pass();
});
