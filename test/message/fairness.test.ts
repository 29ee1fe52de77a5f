import test, { type ExecutionContext } from 'ava';
import { failed, RECEIVED } from '../../sidecar/message/answer.ts';
import { request, type RunningApi, startApi, textOf } from './harness.ts';

// However much is sent, everything else that the process does goes on.

/** Of one turn of the event loop, and some that belong to the next: both end somewhere within the same phase. */
const MOST_A_TURN = 2 * 32;

/** The most that the number grows by within one turn of the event loop, until it is there. */
async function mostInOneTurn(count: () => number, wanted: number): Promise<number> {
  let most = 0;
  let before = count();
  while (before < wanted) {
    await new Promise((resolve) => void setImmediate(resolve));
    const now = count();
    most = Math.max(most, now - before);
    before = now;
  }
  return most;
}

const CONNECTIONS = 10;
const LINES = 2_000;

function flood({ client }: RunningApi, line: string): void {
  for (let index = 0; index < CONNECTIONS; index++) client().socket.write(`${line}\n`.repeat(LINES));
}

/** Whose connections may send as fast as they can. */
function start(t: ExecutionContext, deliver: Parameters<typeof startApi>[1]['deliver']): RunningApi {
  return startApi(t, { limits: { messagesPerSecond: 1_000_000 }, ...(deliver ? { deliver } : {}) });
}

test('a flood of messages is taken a few at a time, also where each is answered at once', async (t) => {
  let delivered = 0;
  const api = start(t, async () => {
    delivered++;
    return RECEIVED;
  });
  flood(api, JSON.stringify(request('one of many')));
  t.true((await mostInOneTurn(() => delivered, CONNECTIONS * LINES)) <= MOST_A_TURN);
});

test('so is one of messages for nobody, and one of mistakes', async (t) => {
  const api = start(t, async () => failed('unknown-service', 'there is no such Service.'));
  const { outcomes } = api.counters;
  flood(api, JSON.stringify(request('for nobody')));
  t.true((await mostInOneTurn(() => outcomes['unknown-service'], CONNECTIONS * LINES)) <= MOST_A_TURN);
  flood(api, 'x');
  t.true((await mostInOneTurn(() => outcomes['bad-json'], CONNECTIONS * LINES)) <= MOST_A_TURN);
});

test('beside floods of messages, of mistakes and of empty lines another is answered within a few turns', async (t) => {
  const { client, counters } = start(t, undefined);
  for (const line of [JSON.stringify(request('one of many')), 'x', '']) {
    for (let count = 0; count < CONNECTIONS; count++) {
      const { socket } = client('127.0.0.2');
      socket.resume();
      const send = (): boolean => socket.write(`${line}\n`.repeat(LINES));
      socket.on('drain', send);
      send();
    }
  }
  const one = client();
  let turns = 0;
  for (let asked = 0; asked < 100; asked++) {
    one.send(request('one of few'));
    for (; !one.isAhead; turns++) await new Promise((resolve) => void setImmediate(resolve));
    t.is(textOf(await one.reply()), '{"status":"received"}');
  }
  t.true(turns <= 100 * 10, `${turns}`);
  t.is(counters.outcomes.overloaded, 0);
  t.true(counters.outcomes['bad-json'] > 0);
});

test('empty lines are taken a few at a time', async (t) => {
  const { client, counters } = startApi(t, { limits: { messagesPerSecond: 1_000 } });
  const flooding = client();
  flooding.socket.write('\n'.repeat(500));
  flooding.send(request('after them'));
  let turns = 0;
  while (counters.outcomes.received === 0) {
    await new Promise((resolve) => void setImmediate(resolve));
    turns++;
  }
  t.true(turns >= 500 / 32);
});

test('empty lines count as messages: those beyond the rate wait, and what comes after them', async (t) => {
  const { client } = startApi(t, { limits: { messagesPerSecond: 1 } });
  const flooding = client();
  // The message is due in two minutes.
  flooding.socket.write('\n'.repeat(120));
  flooding.send(request('after them'));
  for (let asked = 0; asked < 20; asked++) await client().ask(request('one of few'));
  t.false(flooding.isAhead);
});
