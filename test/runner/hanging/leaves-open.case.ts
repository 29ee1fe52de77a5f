import { createServer } from 'node:net';
import test from 'ava';

test('leaves a server open', async (t) => {
  createServer().listen(0, '127.0.0.1');
  t.pass();
});
