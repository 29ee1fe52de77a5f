import { availableParallelism } from 'node:os';

/** Whole-system tests take longest: the last ones to start are short, and no core waits for one that is long. */
function wholeSystemFirst(one, other) {
  const [first, second] = [one, other].map((file) => (/\/test\/(?!cluster)/u.test(file) ? 0 : 1));
  return first - second || one.localeCompare(other);
}

/** test/runner gives each test its deadline; `timeout` ends a process that gives its event loop no turn. */
export default {
  extensions: ['ts'],
  files: ['**/*.test.ts', '!test/cluster/journeys/**'],
  require: ['./test/runner/setup.ts'],
  sortTestFiles: wholeSystemFirst,
  workerThreads: false,
  // Many tests wait for a program or a timer for most of their time.
  concurrency: availableParallelism() + 1,
  timeout: '5m',
};
