import { createServer } from 'node:net';
import test from 'ava';
import { listen } from './listen.ts';

test('a port that is taken is one sentence', async (t) => {
  const first = createServer();
  const second = createServer();
  t.teardown(() => first.close());
  const port = await listen(first, 'the first', '127.0.0.1', 0);
  t.true(port > 0);
  await t.throwsAsync(listen(second, 'the admin page', '127.0.0.1', port), {
    message:
      `Cannot start the admin page: 127.0.0.1:${port} is already taken: ` +
      'stop the program that listens there, or choose another port',
  });
});

test('an address of another machine is one sentence', async (t) => {
  await t.throwsAsync(listen(createServer(), 'the admin page', '192.0.2.1', 0), {
    message: 'Cannot start the admin page: 192.0.2.1 is not an address of this machine: choose one that is',
  });
});
