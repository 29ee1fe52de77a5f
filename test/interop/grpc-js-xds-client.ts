// A program that knows its backends through xDS alone. grpc-js-xds reads its bootstrap from the environment
// once for each process, so that this is one: for each line that comes in it calls xds:///greeter and
// writes who answered.
import { createInterface } from 'node:readline';
import { Client, credentials } from '@grpc/grpc-js';
import { register } from '@grpc/grpc-js-xds';
import { greet } from './greeter.ts';

register();
const client = new Client('xds:///greeter', credentials.createInsecure());

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const { path, requestSerialize, responseDeserialize } = greet;
  const wait = { deadline: Date.now() + 30_000 };
  client.makeUnaryRequest(path, requestSerialize, responseDeserialize, line, wait, (error, answer) => {
    console.log(JSON.stringify(error === null ? { answer } : { error: error.message }));
  });
});
lines.on('close', () => {
  client.close();
  process.exit();
});
