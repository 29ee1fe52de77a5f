import test from 'ava';
import type { FoundFile } from './directory.ts';
import { limited } from './limits.ts';
import { Settling } from './settling.ts';

const START = 1_000_000;

function file(path: string, state: Partial<FoundFile> & { stamp: string }): FoundFile {
  return { path, size: 10, modified: START, refusal: undefined, ...state };
}

function scene(): {
  look: (files: readonly FoundFile[], at: number) => readonly string[];
  settling: Settling;
} {
  const settling = new Settling({ settleMs: 50, emptySettleMs: 2_000 });
  return {
    settling,
    look: (files, at) => {
      const byPath = new Map(files.map((found) => [found.path, found]));
      settling.look(byPath, (path) => path === 'hidden.yaml', START + at);
      return settling.take(START + at).map((settled) => {
        const isEarly = settled.file !== undefined && !settled.isFinal;
        return `${settled.path} ${settled.file?.stamp ?? 'gone'}${isEarly ? ' early' : ''}`;
      });
    },
  };
}

test('what has long been as it is is taken at the first look', (t) => {
  const { look, settling } = scene();
  t.deepEqual(look([file('a', { stamp: '1', modified: START - 2_000 })], 0), ['a 1']);
  t.deepEqual(look([file('a', { stamp: '1' })], 100), []);
  t.is(settling.nextRest, undefined);
});

test('what was just written is taken once it stays as it is', (t) => {
  const { look, settling } = scene();
  t.deepEqual(look([file('a', { stamp: '1' })], 0), []);
  t.is(settling.nextRest, START + 50);
  t.deepEqual(settling.unread, ['a']);
  t.deepEqual(look([file('a', { stamp: '2' })], 40), []);
  t.deepEqual(look([file('a', { stamp: '2' })], 60), []);
  t.deepEqual(look([file('a', { stamp: '2' })], 90), ['a 2 early']);
  t.deepEqual(settling.unread, []);
});

test('what was told soon after it was written is told once more, by when no time stamp is too coarse', (t) => {
  const { look, settling } = scene();
  t.deepEqual(look([file('a', { stamp: '1', modified: START - 1_000 })], 0), ['a 1 early']);
  t.is(settling.nextRest, START + 1_000);
  t.deepEqual(look([file('a', { stamp: '1' })], 999), []);
  t.deepEqual(look([file('a', { stamp: '1' })], 1_000), ['a 1']);
  t.deepEqual(look([file('a', { stamp: '1' })], 5_000), []);
  t.deepEqual(look([file('a', { stamp: '2' })], 5_010), []);
  t.deepEqual(look([file('a', { stamp: '2' })], 5_060), ['a 2 early']);
  t.deepEqual(look([file('a', { stamp: '2' })], 7_010), ['a 2']);
  t.is(settling.nextRest, undefined);
});

test('a later file counts from when it was seen, whatever its date', (t) => {
  const { look } = scene();
  look([], 0);
  t.deepEqual(look([file('a', { stamp: '1', modified: 0 })], 10), []);
  t.deepEqual(look([file('a', { stamp: '1', modified: 0 })], 60), ['a 1 early']);
});

test('an emptied file has to stay empty for longer', (t) => {
  const { look } = scene();
  look([file('a', { stamp: '1', modified: 0 })], 0);
  t.deepEqual(look([file('a', { stamp: '2', size: 0 })], 10), []);
  t.deepEqual(look([file('a', { stamp: '2', size: 0 })], 1_000), []);
  t.deepEqual(look([file('a', { stamp: '2', size: 0 })], 2_010), ['a 2']);
});

test('a file that is deleted and written anew was never gone', (t) => {
  const { look } = scene();
  look([file('a', { stamp: '1', modified: 0 })], 0);
  t.deepEqual(look([], 10), []);
  t.deepEqual(look([file('a', { stamp: '2' })], 40), []);
  t.deepEqual(look([file('a', { stamp: '2' })], 90), ['a 2 early']);
  t.deepEqual(look([], 100), []);
  t.deepEqual(look([], 1_000), []);
  t.deepEqual(look([], 2_100), ['a gone']);
  t.deepEqual(look([], 3_000), []);
});

test('what cannot be seen is not gone', (t) => {
  const { look } = scene();
  look([file('hidden.yaml', { stamp: '1', modified: 0 })], 0);
  t.deepEqual(look([], 10), []);
  t.deepEqual(look([], 1_000), []);
});

test('what changed while it was read is told again', (t) => {
  const { look, settling } = scene();
  const found = file('a', { stamp: '1', modified: 0 });
  t.deepEqual(look([found], 0), ['a 1']);
  settling.putBack('a', START);
  t.deepEqual(settling.unread, ['a']);
  t.deepEqual(look([found], 49), []);
  t.deepEqual(look([found], 50), ['a 1 early']);
});

test('what could not be read is told again later, and is no reason to wait', (t) => {
  const { look, settling } = scene();
  const found = file('a', { stamp: '1', modified: 0 });
  look([found], 0);
  settling.retry('a', START + 100);
  t.deepEqual(settling.unread, []);
  t.deepEqual(look([found], 149), []);
  t.deepEqual(look([found], 150), ['a 1 early']);
});

test('files are told by path', (t) => {
  const { look } = scene();
  const found = ['c', 'a', 'b'].map((path) => file(path, { stamp: '1', modified: 0 }));
  t.deepEqual(look(found, 0), ['a 1', 'b 1', 'c 1']);
});

test('too large a file, or too much of them, is refused with the reason', (t) => {
  const files = ['a', 'b', 'c'].map((path, index) =>
    file(path, { stamp: path, size: [5, 20, 7][index] ?? 0 }),
  );
  const refusals = (mostBytes: number, mostBytesTogether: number): readonly (string | undefined)[] =>
    [
      ...limited(new Map(files.map((found) => [found.path, found])), {
        mostBytes,
        mostBytesTogether,
      }).values(),
    ].map(({ refusal, stamp }) => refusal && `${stamp} ${refusal}`);
  t.deepEqual(refusals(20, 32), [undefined, undefined, undefined]);
  t.deepEqual(refusals(10, 32), [
    undefined,
    'b:refused has 20 bytes, and a file of more than 10 is not read: split it',
    undefined,
  ]);
  t.deepEqual(refusals(20, 30), [
    undefined,
    undefined,
    'c:refused is too much: together the files have more than 30 bytes; make the directory smaller',
  ]);
});
