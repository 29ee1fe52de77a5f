/** Files whose tests do not end by themselves, for runner.test.ts. */
export default {
  extensions: ['ts'],
  files: ['test/runner/hanging/*.case.ts'],
  require: ['./test/runner/setup.ts'],
  workerThreads: false,
  timeout: '1m',
};
