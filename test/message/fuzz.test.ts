import { once } from 'node:events';
import { connect } from 'node:net';
import test from 'ava';
import * as fc from 'fast-check';
import { parseRequest } from '../../sidecar/message/protocol.ts';
import { until } from '../until.ts';
import { Client, HOST, request, startApi, textOf } from './harness.ts';

// Whatever is sent: one reply for each line, in its form, and nothing else is disturbed.

const GOOD = JSON.stringify(request('good'));

/** A sound line with some of its bytes changed, left out or doubled. */
const mutated = fc
  .array(fc.tuple(fc.nat(GOOD.length - 1), fc.constantFrom('replace', 'drop', 'double'), fc.nat(255)), {
    minLength: 1,
    maxLength: 4,
  })
  .map((changes) => {
    const bytes = [...Buffer.from(GOOD)];
    for (const [at, how, byte] of changes) {
      if (how === 'replace') bytes[at] = byte;
      else bytes.splice(at, how === 'drop' ? 1 : 0, ...(how === 'double' ? [byte] : []));
    }
    return Buffer.from(bytes);
  });

const line = fc.oneof(
  mutated,
  fc.constant(Buffer.from(GOOD)),
  fc.json().map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
);

function linesOf(bytes: Buffer): string[] {
  const lines: string[] = [];
  let begin = 0;
  for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, begin)) {
    lines.push(bytes.subarray(begin, end).toString());
    begin = end + 1;
  }
  return [...lines, bytes.subarray(begin).toString()].filter((text) => text.trim() !== '');
}

test('each line has one reply, whatever it is and however it comes in pieces', async (t) => {
  const { client, port } = startApi(t, {});
  const bystander = client();
  const stream = fc.tuple(fc.array(line, { maxLength: 30 }), fc.array(fc.nat(5_000), { maxLength: 6 }));
  await fc.assert(
    fc.asyncProperty(stream, async ([lines, cuts]) => {
      const bytes = Buffer.concat(lines.flatMap((each) => [each, Buffer.from('\n')]));
      const one = new Client(connect({ host: HOST, port, allowHalfOpen: true }));
      const replies: Promise<string>[] = linesOf(bytes).map(() => one.line());
      const bounds = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted(
        (a, b) => a - b,
      );
      for (const [index, end] of bounds.slice(1).entries()) {
        one.socket.write(bytes.subarray(bounds[index], end));
        await new Promise(setImmediate);
      }
      one.socket.end();
      const ended = await one.ending;
      t.is(ended, 'end');
      t.false(one.isAhead, 'no reply too many');
      for (const [index, text] of linesOf(bytes).entries()) {
        const reply = JSON.parse(await replies[index]!) as { payload: string };
        const isGood = parseRequest(text).ok;
        t.regex(textOf(reply), isGood ? /^\{"status":"received"\}$/u : /^\{"error":"Delivery failed: /u);
      }
      one.socket.destroy();
    }),
    { numRuns: 150 },
  );
  t.is(textOf(await bystander.ask(GOOD)), '{"status":"received"}');
});

test('clients that come, say anything and vanish leave nothing behind', async (t) => {
  const { client, port, api } = startApi(t, { limits: { maxConnections: 50 } });
  const noise = fc.sample(fc.uint8Array({ minLength: 1, maxLength: 20_000 }), 200);
  await Promise.all(
    noise.map(async (bytes, index) => {
      const socket = connect({ host: HOST, port });
      socket.on('error', () => {});
      await once(socket, 'connect');
      socket.write(bytes);
      if (index % 2 === 0) socket.resetAndDestroy();
      else socket.destroy();
    }),
  );
  await until(
    'no open connection',
    async () => api.openConnections,
    (open) => open === 0,
  );
  t.is(api.memory.bytes, 0);
  t.is(textOf(await client().ask(GOOD)), '{"status":"received"}');
});
