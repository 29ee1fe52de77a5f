import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import test from 'ava';
import { surviveAcceptErrors } from './accept-errors.ts';
import { listen } from './listen.ts';
import { createLogger } from './log.ts';

test('what fails to be accepted is logged once in a while, and the next connection is accepted', async (t) => {
  const lines: string[] = [];
  const logger = createLogger({
    format: 'json',
    level: () => 'warn',
    write: (line) => lines.push(line),
    now: () => new Date(0),
  });
  const server = createServer((socket) => socket.end());
  t.teardown(() => server.close());
  const port = await listen(server, 'the server', '127.0.0.1', 0);
  surviveAcceptErrors(server, 'the server', logger);
  // The system has no want of buffers that a test could bring about: this is how Node tells of it.
  for (let count = 0; count < 3; count += 1) server.emit('error', new Error('accept ENOBUFS'));
  t.deepEqual(
    lines.map((line) => JSON.parse(line)),
    [
      {
        time: '1970-01-01T00:00:00.000Z',
        level: 'warn',
        message: 'A connection could not be accepted',
        listener: 'the server',
        times: 1,
        error: 'accept ENOBUFS',
      },
    ],
  );
  const socket = connect({ host: '127.0.0.1', port });
  socket.resume();
  await once(socket, 'close');
});
