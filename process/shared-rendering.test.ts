import test from 'ava';
import { shareRendering } from './shared-rendering.ts';

test('given askers before and during a rendering, renders once for each of the two groups', async (t) => {
  const gates: PromiseWithResolvers<void>[] = [];
  const begun = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const render = shareRendering(async () => {
    const gate = Promise.withResolvers<void>();
    begun[gates.length]?.resolve();
    gates.push(gate);
    await gate.promise;
    return gates.length;
  });
  const before = Array.from({ length: 100 }, () => render());
  await begun[0]?.promise;
  const during = Array.from({ length: 100 }, () => render());
  t.is(gates.length, 1);
  gates[0]?.resolve();
  t.deepEqual(new Set(await Promise.all(before)), new Set([1]));
  await begun[1]?.promise;
  gates[1]?.resolve();
  t.deepEqual(new Set(await Promise.all(during)), new Set([2]));
});

test('given a rendering that fails, passes on the error and renders again', async (t) => {
  let isBroken = true;
  const render = shareRendering(() => {
    if (isBroken) throw new Error('the table is on fire');
    return 'table';
  });
  await t.throwsAsync(render(), { message: 'the table is on fire' });
  isBroken = false;
  t.is(await render(), 'table');
});

test('given one asker after another, never returns what was rendered before it asked', async (t) => {
  let value = 0;
  const render = shareRendering(() => value);
  for (value = 1; value <= 5; value += 1) t.is(await render(), value);
});
