import test from 'ava';
import type { Clock } from './coalescer.ts';
import { Coalescer } from './coalescer.ts';

/** A clock that is moved by hand. */
class ManualClock implements Clock {
  #now = 1_000;
  #timers: { readonly due: number; readonly run: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, run: () => void): () => void {
    const timer = { due: this.#now + milliseconds, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  pass(milliseconds: number): void {
    for (let passed = 0; passed < milliseconds; passed += 1) {
      this.#now += 1;
      const due = this.#timers.filter((timer) => timer.due <= this.#now);
      this.#timers = this.#timers.filter((timer) => timer.due > this.#now);
      for (const timer of due) timer.run();
    }
  }

  get waiting(): number {
    return this.#timers.length;
  }
}

function scene(): { clock: ManualClock; coalescer: Coalescer; flushes: number[] } {
  const clock = new ManualClock();
  const flushes: number[] = [];
  const window = { quietMs: 20, longestMs: 200 };
  const coalescer = new Coalescer(clock, window, () => flushes.push(clock.now() - 1_000));
  return { clock, coalescer, flushes };
}

test('a change after quiet goes out at once', (t) => {
  const { clock, coalescer, flushes } = scene();
  coalescer.changed();
  t.deepEqual(flushes, [0]);
  clock.pass(20);
  coalescer.changed();
  t.deepEqual(flushes, [0, 20]);
  t.is(clock.waiting, 0);
});

test('those that follow closely go out together once it is quiet', (t) => {
  const { clock, coalescer, flushes } = scene();
  coalescer.changed();
  for (let change = 0; change < 4; change += 1) {
    clock.pass(10);
    coalescer.changed();
  }
  clock.pass(19);
  t.deepEqual(flushes, [0]);
  clock.pass(1);
  t.deepEqual(flushes, [0, 60]);
  clock.pass(1_000);
  t.deepEqual(flushes, [0, 60]);
});

test('an endless burst holds nothing back for longer than the window', (t) => {
  const { clock, coalescer, flushes } = scene();
  for (let change = 0; change < 100; change += 1) {
    coalescer.changed();
    clock.pass(5);
  }
  t.deepEqual(flushes, [0, 205, 405]);
});

test('after closing nothing goes out', (t) => {
  const { clock, coalescer, flushes } = scene();
  coalescer.changed();
  coalescer.changed();
  coalescer.close();
  clock.pass(1_000);
  t.deepEqual(flushes, [0]);
});
