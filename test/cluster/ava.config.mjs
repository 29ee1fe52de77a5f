/** Journeys share one cluster: one file after another, and as long as pods take. */
export default {
  extensions: ['ts'],
  files: ['test/cluster/journeys/*.test.ts'],
  workerThreads: false,
  concurrency: 1,
  timeout: '10m',
};
