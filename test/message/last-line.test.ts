import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { type Answer, delivered } from '../../sidecar/message/answer.ts';
import type { MessageLimits } from '../../sidecar/message/limits.ts';
import { until } from '../until.ts';
import { type Client, failureOf, request, type RunningApi, startApi } from './harness.ts';

// A last line without an end is whole once its sender has sent a FIN, however long it waits to be taken.

const MESSAGES = 12;

/** One whose last line waits, as the replies to those before it are not read. */
async function withLastLine(
  t: ExecutionContext,
  limits: Partial<MessageLimits>,
): Promise<{ readonly api: RunningApi; readonly one: Client }> {
  const large = delivered(Buffer.alloc(700_000).toString('base64'));
  const ready = Promise.withResolvers<Answer>();
  let taken = 0;
  const deliver = (): Promise<Answer> => {
    taken++;
    return ready.promise;
  };
  const api = startApi(t, { deliver, limits });
  const one = api.client();
  one.socket.pause();
  const last = JSON.stringify(request('x'.repeat(5_000)));
  for (let index = 0; index < MESSAGES; index++) one.send(request(`${index}`));
  one.socket.write(last);
  await until(
    'all messages are delivered, and the begun line is held',
    async () => api.api.memory.bytes,
    (bytes) => taken === MESSAGES && bytes > last.length,
  );
  ready.resolve(large);
  await until(
    'the large answer is held',
    async () => api.api.memory.bytes,
    (bytes) => bytes > large.payload.length,
  );
  one.socket.end();
  return { api, one };
}

async function readAll({ counters }: RunningApi, one: Client): Promise<number> {
  one.socket.resume();
  for (let index = 0; index <= MESSAGES; index++) await one.line();
  return counters.outcomes.delivered;
}

test('it is not too slow', async (t) => {
  // From its first byte to its FIN, which a busy machine sends late, and then much longer.
  const { api, one } = await withLastLine(t, { lineTimeoutMs: 2_000 });
  await delay(4_000);
  t.is(await readAll(api, one), MESSAGES + 1);
  t.is(await one.ending, 'end');
});

test('it gives way only after lines that have not ended', async (t) => {
  const { api, one } = await withLastLine(t, {});
  const { memory } = api.api;
  const before = memory.bytes;
  const begun = api.client();
  begun.socket.write('x');
  await until(
    'another begun line is held',
    async () => memory.bytes,
    (bytes) => bytes > before,
  );
  t.true(memory.makeRoom(memory.limit - memory.bytes + 1));
  t.regex(failureOf(await begun.reply()), /holds as much as it may/u);
  t.is(await readAll(api, one), MESSAGES + 1);
});
