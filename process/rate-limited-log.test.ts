import test from 'ava';
import type { Fields, Logger } from './log.ts';
import { RateLimitedLog } from './rate-limited-log.ts';

test('one warning for each message and reason, however often and in whatever order they come', (t) => {
  const lines: Fields[] = [];
  const log: Logger = {
    error() {},
    warn: (message, fields) => void lines.push({ message, ...fields }),
    info() {},
    debug() {},
    isEnabled: () => true,
    with: () => log,
  };
  const warnings = new RateLimitedLog();
  for (let time = 0; time < 3; time++) {
    for (const reason of ['no-endpoints', 'connect-failed']) {
      warnings.warn(log, { message: 'Refused a connection.', reason, fields: { time } });
    }
    warnings.warn(log, { message: 'Could not connect.', reason: 'ETIMEDOUT', fields: { time } });
  }
  t.deepEqual(lines, [
    { message: 'Refused a connection.', time: 0, reason: 'no-endpoints' },
    { message: 'Refused a connection.', time: 0, reason: 'connect-failed' },
    { message: 'Could not connect.', time: 0, reason: 'ETIMEDOUT' },
  ]);
});
