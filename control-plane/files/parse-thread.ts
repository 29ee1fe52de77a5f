import { parentPort, workerData } from 'node:worker_threads';
import { parseDocuments } from './parse-documents.ts';

/** The entry of a thread that parses one text, given as its data, and answers with what it read. */
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- this is no window: a thread has no origin
parentPort?.postMessage(parseDocuments(workerData as string));
