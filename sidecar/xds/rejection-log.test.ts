import test from 'ava';
import { createLogger } from '../../process/log.ts';
import { RejectionLog } from './rejection-log.ts';

test('a flood of rejections is some lines a minute, and then a count', (t) => {
  const lines: { resource: string; untoldBefore?: number }[] = [];
  const log = createLogger({
    format: 'json',
    level: () => 'info',
    now: () => new Date(0),
    write: (line) => lines.push(JSON.parse(line) as (typeof lines)[number]),
  });
  const rejections = new RejectionLog(log);
  for (let second = 0; second < 60; second += 1) {
    rejections.add([{ name: `demo/${second}`, reason: 'is bad' }], second * 1000);
  }
  t.is(lines.length, 20);
  t.is(rejections.total, 60);
  rejections.add([{ name: 'demo/later', reason: 'is bad' }], 60_000);
  t.like(lines.at(-1), { resource: 'demo/later', untoldBefore: 40 });
  t.is(rejections.recent.length, 20);
  t.deepEqual(rejections.recent.at(-1), { name: 'demo/later', reason: 'is bad', atMs: 60_000 });
});
