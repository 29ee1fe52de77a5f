import type { ExecutionContext } from 'ava';
import test from 'ava';
import { until } from '../../test/until.ts';
import { parseDocuments } from './parse-documents.ts';
import { ParseLane } from './parse-lane.ts';
import { Parser } from './parser.ts';

const NEVER = new AbortController().signal;
const HOUR = 3_600_000;
/** Takes seconds to parse: its keys alone make more than ten million objects. */
const SLOW = Array.from({ length: 150_000 }, (_, index) => `k${index}: 1\n`).join('');

/** Asserts that no thread is left; serial, since threads are counted in the whole process. */
function threadTest(title: string, run: (t: ExecutionContext) => Promise<void>): void {
  test.serial(title, async (t) => {
    await run(t);
    t.false(process.getActiveResourcesInfo().includes('MessagePort'));
  });
}

threadTest('given a slow text, parses others meanwhile and gives the slow one its own thread', async (t) => {
  const parser = new Parser({ quickMs: HOUR, slowMs: HOUR });
  const cancelling = new AbortController();
  let isSlow = false;
  const slow = parser.parse(SLOW, {
    signal: cancelling.signal,
    isSlow: false,
    onSlow: () => (isSlow = true),
  });
  const texts = Array.from({ length: 20 }, (_, index) => `a: ${index}\n`);
  const request = { signal: NEVER, isSlow: false, onSlow: () => t.fail('these are quick') };
  const results = await Promise.all(texts.map(async (text) => parser.parse(text, request)));
  t.deepEqual(
    results.map((result) => result?.read),
    texts.map((text) => parseDocuments(text)),
  );
  t.true(isSlow);
  cancelling.abort();
  t.is(await slow, undefined, 'it was still being parsed');
  await parser.close();
});

threadTest('given a text that is slow in the quick lane, starts it anew in the slow one', async (t) => {
  const parser = new Parser({ quickMs: 1, slowMs: HOUR });
  const text = SLOW.slice(0, 200_000);
  let slow = 0;
  const result = await parser.parse(text, { signal: NEVER, isSlow: false, onSlow: () => (slow += 1) });
  t.is(slow, 1);
  t.deepEqual(result, { read: parseDocuments(text), isSlow: true });
  await parser.close();
});

threadTest('given a text that goes over a limit, rejects it alone and parses the next', async (t) => {
  const problemOf = async (parser: Parser): Promise<string | undefined> => {
    const result = await parser.parse(SLOW, { signal: NEVER, isSlow: true, onSlow: () => {} });
    return result?.read.problems[0]?.problem;
  };
  const hasty = new Parser({ quickMs: HOUR, slowMs: 1 });
  t.is(await problemOf(hasty), 'takes more than 0.001 s to parse: split the file, or write it as JSON');
  const next = await hasty.parse('a: 1\n', { signal: NEVER, isSlow: false, onSlow: () => {} });
  t.is(next?.read.objects, '1 {"a":1}\n');
  await hasty.close();
  const lane = new ParseLane({ megabytes: 16, milliseconds: HOUR });
  t.deepEqual(await lane.parse(SLOW, NEVER), { outcome: 'too-large' });
  const after = await lane.parse('a: 1\n', NEVER);
  t.is(after.outcome, 'read');
  await lane.close();
});

threadTest('given a cancelled text, does not parse it and goes on with the next', async (t) => {
  const lane = new ParseLane({ megabytes: 256, milliseconds: HOUR });
  const cancelling = new AbortController();
  const [running, waiting, next] = [
    lane.parse(SLOW, cancelling.signal),
    lane.parse(SLOW, cancelling.signal),
    lane.parse('a: 1\n', NEVER),
  ];
  cancelling.abort();
  t.deepEqual(await Promise.all([running, waiting]), [{ outcome: 'cancelled' }, { outcome: 'cancelled' }]);
  t.is((await next).outcome, 'read');
  await lane.close();
});

threadTest('given nothing to parse any more, ends the thread', async (t) => {
  const lane = new ParseLane({ megabytes: 256, milliseconds: HOUR });
  await lane.parse('a: 1\n', NEVER);
  await until(
    'no thread is left',
    () => process.getActiveResourcesInfo(),
    (resources) => !resources.includes('MessagePort'),
  );
  t.is((await lane.parse('a: 1\n', NEVER)).outcome, 'read');
  await lane.close();
});
