/**
 * A constant load, of which every request is accounted for. It knows of no mesh.
 *
 *   node /app/load.ts '{"url": "http://server:8080", "newPerSecond": 20, "kept": 5, "keptPerSecond": 10}'
 *
 * `newPerSecond` requests a second each open a connection of their own, whatever becomes of those before them.
 * `kept` connections each carry one request after another. A kept connection that ends where no answer announced
 * it is a failure, as is every request without its right answer. Both families of addresses are used in turn.
 *
 * Port 9090: GET /report tells what became of all requests so far; POST /stop sends no more, waits for those in
 * flight and tells the same.
 */
import { lookup } from 'node:dns/promises';
import { Agent, createServer, get } from 'node:http';
import type { LookupFunction, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const REPORT_PORT = 9090;
/** A machine with too much to do is slow, which is no failure. */
const REQUEST_LIMIT_MS = 60_000;
const FAILURES_KEPT = 500;
const LOOKUP_EVERY_MS = 5_000;

type Kind = 'new' | 'kept';
interface PodAnswers {
  readonly count: number;
  readonly lastAt: string;
}
interface Answer {
  readonly pod: string;
  /** The server announced that the connection ends now. */
  readonly isLast: boolean;
}

const options = JSON.parse(process.argv[2] ?? '{}') as {
  readonly url: string;
  readonly newPerSecond: number;
  readonly kept: number;
  readonly keptPerSecond: number;
};
const { hostname } = new URL(options.url);
/** Looked up now and then: a name server that is slow for a moment fails no request. */
let addresses = await lookup(hostname, { all: true });
const startedAt = Date.now();
const tallies = { new: tally(), kept: tally() };
const failures: { kind: Kind; at: string; afterMs: number; reason: string }[] = [];
let failureCount = 0;
let keptConnections = 0;
let requests = 0;
let sequence = 0;
/** Aborted once no more is to be sent. */
const stopping = new AbortController();
const { signal: stopped } = stopping;
const inFlight = new Set<Promise<unknown>>();

/** The next of the addresses. */
const takeAddress: LookupFunction = (_name, lookupOptions, callback) => {
  const next = addresses[sequence++ % addresses.length]!;
  if (lookupOptions.all === true) callback(null, [next]);
  else callback(null, next.address, next.family);
};

async function lookUpNowAndThen(): Promise<void> {
  while (!stopped.aborted) {
    await delay(LOOKUP_EVERY_MS);
    addresses = await lookup(hostname, { all: true }).catch(() => addresses);
  }
}

function tally() {
  return { sent: 0, right: 0, slowestMs: 0, answeredBy: {} as Record<string, PodAnswers> };
}

function fail(kind: Kind, at: number, error: unknown): void {
  failureCount++;
  if (failures.length === FAILURES_KEPT) return;
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = code === undefined ? message : `${code}: ${message}`;
  failures.push({ kind, at: new Date(at).toISOString(), afterMs: Date.now() - at, reason });
}

/** Sends one request and accounts for it. Resolves with its right answer, undefined when there is none. */
async function send(kind: Kind, agent: Agent | false): Promise<Answer | undefined> {
  const at = Date.now();
  const counts = tallies[kind];
  counts.sent++;
  const asked = ask(`${startedAt}-${++requests}`, agent);
  inFlight.add(asked);
  try {
    const answer = await asked;
    counts.right++;
    counts.slowestMs = Math.max(counts.slowestMs, Date.now() - at);
    const count = (counts.answeredBy[answer.pod]?.count ?? 0) + 1;
    counts.answeredBy[answer.pod] = { count, lastAt: new Date().toISOString() };
    return answer;
  } catch (error) {
    fail(kind, at, error);
    return undefined;
  } finally {
    inFlight.delete(asked);
  }
}

function ask(token: string, agent: Agent | false): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const signal = AbortSignal.timeout(REQUEST_LIMIT_MS);
  const request = get(
    `${options.url}/?token=${token}`,
    { agent, signal, lookup: takeAddress },
    (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => {
        try {
          const answer = JSON.parse(text) as { pod: string; token: string };
          if (response.statusCode !== 200 || answer.token !== token) throw new Error('not the answer');
          resolve({ pod: answer.pod, isLast: response.headers.connection === 'close' });
        } catch {
          reject(new Error(`Wrong answer, status ${response.statusCode}: ${text.slice(0, 200)}`));
        }
      });
    },
  );
  request.on('error', reject);
  return promise;
}

async function openConnections(): Promise<void> {
  for (let count = 0; !stopped.aborted; count++) {
    const due = startedAt + (count * 1000) / options.newPerSecond;
    await delay(Math.max(0, due - Date.now()));
    if (!stopped.aborted) void send('new', false);
  }
}

/** One request after another on one connection; on a new one only where an answer announced the end of the last. */
async function keepOneConnection(): Promise<void> {
  let isEndAnnounced = false;
  const agent = watchedAgent((opened) => {
    keptConnections++;
    isEndAnnounced = false;
    opened.once('close', () => {
      if (!isEndAnnounced && !stopped.aborted)
        fail('kept', Date.now(), new Error('a kept connection was ended'));
    });
  });
  while (!stopped.aborted) {
    const answer = await send('kept', agent);
    // A request that failed is a failure already; its connection's end is not another.
    isEndAnnounced = answer?.isLast ?? true;
    await delay(1000 / options.keptPerSecond);
  }
  agent.destroy();
}

function watchedAgent(onConnection: (socket: Socket) => void): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const seen = new WeakSet<Socket>();
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (...args) => {
    const socket = connect(...args) as Socket;
    if (!seen.has(socket)) {
      seen.add(socket);
      onConnection(socket);
    }
    return socket;
  };
  return agent;
}

async function stop(): Promise<void> {
  stopping.abort();
  await Promise.allSettled(inFlight);
  // Whoever waited for the last of them takes note of it first.
  await delay(0);
}

function report(): string {
  return `${JSON.stringify({
    forMs: Date.now() - startedAt,
    ...tallies,
    keptConnections,
    inFlight: inFlight.size,
    failureCount,
    failures,
  })}\n`;
}

const server = createServer((request, response) => {
  if (request.method === 'POST') void stop().then(() => response.end(report()));
  else response.end(report());
}).listen(REPORT_PORT, '::');

void lookUpNowAndThen();
if (options.newPerSecond > 0) void openConnections();
for (let index = 0; index < options.kept; index++) void keepOneConnection();

process.on('SIGTERM', () => {
  stopping.abort();
  process.stdout.write(report());
  server.close();
  server.closeAllConnections();
});
