import test from 'ava';
import { createLogger, type Logger } from '../../process/log.ts';
import { RejectionLog } from './rejection-log.ts';

interface Line {
  readonly message: string;
  readonly resource: string;
  readonly untoldBefore?: number;
}

function loggerTo(lines: Line[]): Logger {
  return createLogger({
    format: 'json',
    level: () => 'info',
    now: () => new Date(0),
    write: (line) => lines.push(JSON.parse(line) as Line),
  });
}

test('given a resource that was never good, promises no last good state of it', (t) => {
  const lines: Line[] = [];
  const rejections = new RejectionLog(loggerTo(lines), (resource) => resource === 'demo/held');
  rejections.add(
    ['held', 'new'].map((name) => ({ name: `demo/${name}`, reason: 'is bad' })),
    0,
  );
  t.deepEqual(
    lines.map(({ message, resource }) => [resource, message]),
    [
      ['demo/held', 'Rejected a resource; its last good state stays in use'],
      ['demo/new', 'Rejected a resource'],
    ],
  );
});

test('a flood of rejections is some lines a minute, and then a count', (t) => {
  const lines: Line[] = [];
  const log = loggerTo(lines);
  const rejections = new RejectionLog(log, () => false);
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
