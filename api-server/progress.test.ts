import test from 'ava';
import { ApiError, GarbledError } from './api-server.ts';
import { advanced, BEGINNING, delayMs, type Ending, next, type Progress } from './progress.ts';

function failed(error: unknown, openMs = 0): Ending {
  return { outcome: 'failed', error, openMs };
}

function refused(status: number, retryAfterMs?: number): Ending {
  return failed(new ApiError({ status, reason: '', message: '', retryAfterMs }));
}

function after(progress: Progress, ...endings: readonly Ending[]): Progress {
  return endings.reduce(next, progress);
}

const LISTED: Ending = { outcome: 'listed', resourceVersion: '7' };
const ENDED: Ending = { outcome: 'ended', openMs: 60_000 };
const CUT = failed(new Error('ECONNRESET'));
const STALLED = failed(new Error('nothing was heard'), 105_000);
const WATCHING_9 = { do: 'watch', resourceVersion: '9' };

test('a list is followed by a watch from its version, and a watch by one from what it told last', (t) => {
  t.deepEqual(after(BEGINNING, LISTED).step, { do: 'watch', resourceVersion: '7' });
  t.deepEqual(after(advanced('9'), CUT, ENDED), { ...advanced('9'), quietMs: 60_000 });
  t.is(delayMs(after(advanced('9'), ENDED), ENDED, 0.9), 0);
});

test('a list that fails begins again', (t) => {
  for (const ending of [CUT, refused(403), refused(410), refused(500)]) {
    t.deepEqual(after(BEGINNING, ending).step, { do: 'list' });
  }
});

test('while the API server is away, and whatever it refuses for now, the watch is resumed and nothing is listed', (t) => {
  const away = [CUT, refused(401), refused(403), refused(429), refused(500), refused(503)];
  const progress = after(advanced('9'), ...away, ...away);
  t.deepEqual(progress.step, WATCHING_9);
  t.is(progress.failures, 12);
});

test('a version that the API server does not have, not any more or not yet, means to list', (t) => {
  for (const status of [410, 400, 504]) {
    t.deepEqual(after(advanced('9'), refused(status)).step, { do: 'list' }, String(status));
  }
});

test('after what made no sense all is listed, since nobody knows what was missed', (t) => {
  t.deepEqual(after(advanced('9'), failed(new GarbledError('{'))).step, { do: 'list' });
});

test('a silent watch is resumed, and a kind that stays silent for much too long is listed', (t) => {
  t.deepEqual(after(advanced('9'), STALLED, STALLED).step, WATCHING_9);
  const quiet = after(advanced('9'), ...Array.from({ length: 19 }, () => ENDED));
  t.deepEqual(quiet.step, WATCHING_9);
  t.deepEqual(after(quiet, CUT, ENDED), BEGINNING);
  t.deepEqual(after(quiet, CUT, ENDED, LISTED), { ...advanced('7') });
});

test('delays double up to a limit, have full jitter, and end with what gets through', (t) => {
  const delays = Array.from({ length: 8 }, (_, index) =>
    delayMs(after(advanced('9'), ...Array.from({ length: index + 1 }, () => CUT)), CUT, 0.5),
  );
  t.deepEqual(delays, [500, 1000, 2000, 4000, 5000, 5000, 5000, 5000]);
  t.is(delayMs(after(advanced('9'), CUT, CUT), CUT, 0), 0);
  t.is(after(advanced('9'), CUT, CUT, failed(new Error('cut after a while'), 60_000)).failures, 1);
  t.is(after(advanced('9'), CUT, CUT, ENDED).failures, 0);
  t.is(after(advanced('9'), STALLED, failed(new Error('no answer within 30 s'))).failures, 2);
});

test('lists that succeed do not hide that no watch does', (t) => {
  const progress = after(BEGINNING, LISTED, refused(410), LISTED, refused(410), LISTED, refused(410));
  t.is(progress.expiries, 3);
  t.is(delayMs(progress, refused(410), 0.5), 2000);
});

test('an API server that comes back and has forgotten the version is not made to wait for', (t) => {
  const back = after(advanced('9'), CUT, CUT, CUT, CUT, CUT, refused(410));
  t.deepEqual(back, { ...BEGINNING, expiries: 1 });
  t.is(delayMs(back, refused(410), 0.5), 500);
});

test('a watch that ends at once, however politely, is no reason to hurry', (t) => {
  const short: Ending = { outcome: 'ended', openMs: 3 };
  t.is(delayMs(after(advanced('9'), short, short, short), short, 0.5), 2000);
});

test('an API server that asks for time gets it, within reason', (t) => {
  t.is(delayMs(after(BEGINNING, refused(429, 5000)), refused(429, 5000), 0.5), 5500);
  t.is(delayMs(after(BEGINNING, refused(429, 1e9)), refused(429, 1e9), 0.5), 60_500);
});
