import test from 'ava';
import { type LineTaker, Round } from './round.ts';

/** Has so many lines, and notes each that is taken. */
class Sender implements LineTaker {
  left: number;
  readonly #name: string;
  readonly #taken: string[];

  constructor(name: string, left: number, taken: string[]) {
    this.#name = name;
    this.left = left;
    this.#taken = taken;
  }

  takeLine(): boolean {
    if (this.left === 0) return false;
    this.left--;
    this.#taken.push(this.#name);
    return true;
  }
}

async function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

test('takes no more in one turn of the event loop than there is time for, and all in the end', async (t) => {
  const taken: string[] = [];
  const sender = new Sender('a', 1_000, taken);
  const round = new Round();
  t.false(round.enter(sender));
  t.true(taken.length > 0 && taken.length <= 32);
  let turns = 0;
  for (; sender.left > 0; turns++) {
    const before = taken.length;
    await turn();
    t.true(taken.length > before && taken.length <= before + 32);
  }
  t.true(turns >= 1_000 / 32 - 1);
  await turn();
  t.true(round.enter(sender));
});

test('one line of each in its turn: who has few does not wait for who has many', async (t) => {
  const taken: string[] = [];
  const round = new Round();
  round.enter(new Sender('greedy', 100_000, taken));
  round.enter(new Sender('other', 100_000, taken));
  const modest = new Sender('modest', 2, taken);
  round.enter(modest);
  const before = taken.length;
  while (modest.left > 0) await turn();
  const since = taken.slice(before, taken.lastIndexOf('modest') + 1);
  t.true(since.length <= 6, since.join(' '));
});

test('what is entered again and again within one turn shares its time', (t) => {
  const taken: string[] = [];
  const round = new Round();
  for (let count = 0; count < 1_000; count++) round.enter(new Sender('a', 1, taken));
  t.true(taken.length <= 32);
});
