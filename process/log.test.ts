import test from 'ava';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createLogger, LogLevel, type LogFormat } from './log.ts';

function recorded(format: LogFormat, level = new LogLevel('info')) {
  const lines: string[] = [];
  const logger = createLogger({
    format,
    level: () => level.current,
    write: (line) => lines.push(line),
    now: () => new Date('2026-01-02T03:04:05.678Z'),
  });
  return { lines, logger, level };
}

test('json: one object a line, fields beside the message', (t) => {
  const { lines, logger } = recorded('json');
  logger.with({ room: 'xds' }).warn('A client rejected a resource', { node: 'a', bytes: 12n });
  t.deepEqual(
    lines.map((line) => JSON.parse(line)),
    [
      {
        time: '2026-01-02T03:04:05.678Z',
        level: 'warn',
        message: 'A client rejected a resource',
        room: 'xds',
        node: 'a',
        bytes: '12',
      },
    ],
  );
});

test('text: what a peer wrote cannot forge a second line', (t) => {
  const { lines, logger } = recorded('text');
  logger.info('Rejected', {
    service: 'demo/hello',
    reason: 'x\n03:04:05 ERROR forged',
    error: new Error('no route'),
    left: undefined,
  });
  t.deepEqual(lines, [
    '03:04:05.678 INFO  Rejected service=demo/hello reason="x\\n03:04:05 ERROR forged" error="no route"',
  ]);
});

test('given a number that was measured, writes three significant digits; counts and settings stay whole', (t) => {
  for (const format of ['json', 'text'] as const) {
    const { lines, logger } = recorded(format);
    logger.info('Retrying', {
      retryInMs: 158.0345445737139,
      share: 0.012345,
      held: { ms: 1234.5 },
      bytes: 123_456,
    });
    t.regex(lines[0] ?? '', /158\b.*0\.0123\b.*1230\b.*123456\b/u);
    t.notRegex(lines[0] ?? '', /158\.|01234|1234\.5/u);
  }
});

test('the level is asked at every line', (t) => {
  const { lines, logger, level } = recorded('text');
  logger.debug('unseen');
  level.current = 'debug';
  logger.debug('seen');
  t.true(logger.isEnabled('debug'));
  t.is(lines.length, 1);
});

test('a program outlives the reader of its log', async (t) => {
  const program = `
    import { LogLevel, stderrLogger } from ${JSON.stringify(new URL('log.ts', import.meta.url).href)};
    const log = stderrLogger('test', 'json', new LogLevel('info'));
    process.stdin.once('data', () => {
      log.info('one');
      log.info('two');
      setImmediate(() => {
        log.info('three');
        setImmediate(() => process.exit(7));
      });
    });
    process.stdout.write('begun');`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: 'pipe' });
  await once(child.stdout, 'data');
  child.stderr.destroy();
  await once(child.stderr, 'close');
  child.stdin.write('go');
  t.deepEqual(await once(child, 'exit'), [7, null]);
});
