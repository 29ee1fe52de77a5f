import test from 'ava';
import { createLogger } from './log.ts';
import { shutDown } from './shutdown.ts';

const quiet = createLogger({ format: 'json', level: () => 'error', write: () => {}, now: () => new Date(0) });

test('steps run in order, and one that fails does not keep the rest from running', async (t) => {
  const ran: string[] = [];
  const code = await shutDown({
    logger: quiet,
    timeoutMs: 60_000,
    steps: [
      { name: 'listeners', run: () => void ran.push('listeners') },
      {
        name: 'streams',
        run: async () => {
          ran.push('streams');
          throw new Error('stuck');
        },
      },
      { name: 'admin', run: async () => void ran.push('admin') },
    ],
  });
  t.deepEqual(ran, ['listeners', 'streams', 'admin']);
  t.is(code, 1);
});

test('a step that never ends is left behind', async (t) => {
  const code = await shutDown({
    logger: quiet,
    timeoutMs: 1,
    steps: [{ name: 'forever', run: () => new Promise(() => {}) }],
  });
  t.is(code, 1);
});
