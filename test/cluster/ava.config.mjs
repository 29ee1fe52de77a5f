/** run-journeys.ts says how many files run at a time. Each journey has a deadline of its own, far below this one. */
export default {
  extensions: ['ts'],
  files: ['test/cluster/journeys/**/*.test.ts'],
  workerThreads: false,
  concurrency: 1,
  timeout: '25m',
};
