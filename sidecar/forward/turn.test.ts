import { setImmediate as nextTurn } from 'node:timers/promises';
import test from 'ava';
import { Turn } from './turn.ts';

class Write {
  flushes = 0;

  flush(): void {
    this.flushes++;
  }
}

/** How many of so many writes in one turn were put off. */
function deferredOf(turn: Turn, writes: readonly Write[]): number {
  return writes.filter((write) => turn.defer(write)).length;
}

function writesOf(count: number): readonly Write[] {
  return Array.from({ length: count }, () => new Write());
}

test('where many writes come together they are put off, and each is flushed once when the turn ends', async (t) => {
  const turn = new Turn();
  deferredOf(turn, writesOf(100));
  await nextTurn();
  const writes = writesOf(20);
  t.is(deferredOf(turn, writes), 20);
  t.true(writes.every(({ flushes }) => flushes === 0));
  await nextTurn();
  t.true(writes.every(({ flushes }) => flushes === 1));
  await nextTurn();
  t.true(writes.every(({ flushes }) => flushes === 1));
});

test('where they come alone nearly all are done at once', async (t) => {
  const turn = new Turn();
  let deferred = 0;
  for (let round = 0; round < 640; round++) {
    deferred += deferredOf(turn, writesOf(1));
    await nextTurn();
  }
  t.true(deferred <= 10, `${deferred} of 640 put off`);
});

test('putting off ends when few are left', async (t) => {
  const turn = new Turn();
  deferredOf(turn, writesOf(100));
  await nextTurn();
  t.is(deferredOf(turn, writesOf(3)), 3);
  await nextTurn();
  t.is(deferredOf(turn, writesOf(3)), 0);
});
