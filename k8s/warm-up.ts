import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * For the build of an image: starts its program as the image will, waits until its admin page answers, and ends it
 * as Kubernetes would. What Node compiled until then is in NODE_COMPILE_CACHE afterwards, and a program that does
 * not start, or does not end, gets no image.
 *
 *   node k8s/warm-up.ts node sidecar/main.ts
 *
 * Ends with the program's exit code, or 1 when the page did not answer. The page is at a port that is free: a
 * build may share the network of its machine with another one.
 */
const DEADLINE_MS = 60_000;

/** The page is there before the program can be told to end. */
const START_MS = 1_000;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function answers(page: string): Promise<boolean> {
  const response = await fetch(page).catch(() => undefined);
  return response?.ok === true;
}

const [command = '', ...rest] = process.argv.slice(2);
const admin = `127.0.0.1:${await freePort()}`;
const program = spawn(command, rest, {
  stdio: 'inherit',
  env: { ...process.env, CORTEXFLOW_ADMIN_ADDRESS: admin },
});
const ended = new Promise<number>((resolve) => {
  program.once('error', (error) => {
    process.stderr.write(`${command} cannot be started: ${error.message}\n`);
    resolve(1);
  });
  program.once('exit', (code, signal) => {
    if (signal !== null) process.stderr.write(`${command} was ended by ${signal}\n`);
    resolve(code ?? 1);
  });
});

const giveUpAt = performance.now() + DEADLINE_MS;
while (program.exitCode === null && program.signalCode === null && program.pid !== undefined) {
  if (await answers(`http://${admin}/healthz`)) {
    await sleep(START_MS);
    program.kill('SIGTERM');
    break;
  }
  if (performance.now() > giveUpAt) {
    process.stderr.write(`The admin page did not answer within ${DEADLINE_MS / 1_000} s\n`);
    program.kill('SIGKILL');
    break;
  }
  await sleep(100);
}
process.exitCode = await ended;
