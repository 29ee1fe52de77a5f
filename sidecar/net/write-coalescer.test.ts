import { setImmediate as nextTurn } from 'node:timers/promises';
import test from 'ava';
import { WriteCoalescer } from './write-coalescer.ts';

class Write {
  flushes = 0;

  flush(): void {
    this.flushes++;
  }
}

/** How many of so many writes in one turn were put off. */
function deferredOf(coalescer: WriteCoalescer, writes: readonly Write[]): number {
  return writes.filter((write) => coalescer.defer(write)).length;
}

function writesOf(count: number): readonly Write[] {
  return Array.from({ length: count }, () => new Write());
}

test('where many writes come together they are put off, and each is flushed once when the turn ends', async (t) => {
  const coalescer = new WriteCoalescer();
  deferredOf(coalescer, writesOf(100));
  await nextTurn();
  const writes = writesOf(20);
  t.is(deferredOf(coalescer, writes), 20);
  t.true(writes.every(({ flushes }) => flushes === 0));
  await nextTurn();
  t.true(writes.every(({ flushes }) => flushes === 1));
  await nextTurn();
  t.true(writes.every(({ flushes }) => flushes === 1));
});

test('where they come alone nearly all are done at once', async (t) => {
  const coalescer = new WriteCoalescer();
  let deferred = 0;
  for (let round = 0; round < 640; round++) {
    deferred += deferredOf(coalescer, writesOf(1));
    await nextTurn();
  }
  t.true(deferred <= 10, `${deferred} of 640 put off`);
});

test('putting off ends when few are left', async (t) => {
  const coalescer = new WriteCoalescer();
  deferredOf(coalescer, writesOf(100));
  await nextTurn();
  t.is(deferredOf(coalescer, writesOf(3)), 3);
  await nextTurn();
  t.is(deferredOf(coalescer, writesOf(3)), 0);
});
