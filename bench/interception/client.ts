/**
 * A client in a network namespace: told where to go, it makes round trips on kept connections and on new ones, and
 * prints how long each took, in microseconds.
 *
 *   node bench/interception/client.ts '{"host":"…","port":80,"connections":8,"roundTrips":2000,"newConnections":500}'
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface Task {
  readonly host: string;
  readonly port: number;
  readonly connections: number;
  /** On each of them. */
  readonly roundTrips: number;
  /** One after another, each with one round trip. */
  readonly newConnections: number;
}

/** Microseconds. */
export interface Times {
  readonly kept: readonly number[];
  readonly fresh: readonly number[];
}

const MESSAGE = Buffer.alloc(512, 'x');
/** Round trips before any counts: compilers done, buffers allocated. */
const WARM_UP = 200;

const now = (): number => Number(process.hrtime.bigint()) / 1_000;

async function roundTrip(socket: Socket): Promise<void> {
  let left = MESSAGE.length;
  const { promise, resolve } = Promise.withResolvers<void>();
  const take = (chunk: Buffer): void => {
    left -= chunk.length;
    if (left === 0) resolve();
  };
  socket.on('data', take);
  socket.write(MESSAGE);
  await promise;
  socket.off('data', take);
}

async function opened({ host, port }: Task): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true });
  await once(socket, 'connect');
  return socket;
}

async function kept(task: Task): Promise<number[]> {
  const socket = await opened(task);
  const times: number[] = [];
  for (let count = -WARM_UP; count < task.roundTrips; count += 1) {
    const begun = now();
    await roundTrip(socket);
    if (count >= 0) times.push(now() - begun);
  }
  socket.destroy();
  return times;
}

async function fresh(task: Task): Promise<number[]> {
  const times: number[] = [];
  for (let count = 0; count < task.newConnections; count += 1) {
    const begun = now();
    const socket = await opened(task);
    await roundTrip(socket);
    times.push(now() - begun);
    socket.destroy();
  }
  return times;
}

const task = JSON.parse(process.argv[2] ?? '') as Task;
const all = await Promise.all(Array.from({ length: task.connections }, () => kept(task)));
const times: Times = { kept: all.flat(), fresh: await fresh(task) };
process.stdout.write(JSON.stringify(times));
