import { parentPort } from 'node:worker_threads';
import { parseDocuments } from './parse-documents.ts';

/** The entry of a thread that parses one text after another; its first message says that it has loaded. */
parentPort?.on('message', (text: string) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- this is no window: a thread has no origin
  parentPort?.postMessage(parseDocuments(text));
});
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- as above
parentPort?.postMessage('ready');
