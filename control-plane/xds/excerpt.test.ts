import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test from 'ava';
import { excerpt } from './excerpt.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

test('an excerpt does not keep the text that it is of', (t) => {
  collect();
  const before = process.memoryUsage().heapUsed;
  const excerpts = Array.from({ length: 60 }, (_, at) =>
    excerpt(Buffer.alloc(500_000, String(at % 10)).toString()),
  );
  collect();
  t.true(process.memoryUsage().heapUsed - before < 10 << 20);
  t.true(excerpts.every(({ length }) => length === 4096));
});
