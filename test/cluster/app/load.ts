/**
 * A constant load of HTTP requests, each kind counted for itself: on connections that are made for one request,
 * and on one that is kept. GET on port 9090 answers the counts as JSON.
 *
 *   node /app/load.ts <url> [requests of each kind per second]
 */
import { Agent, createServer, get } from 'node:http';

const TIMEOUT_MS = 10_000;
const KEPT_FAILURES = 20;
const [url, rate = '20'] = process.argv.slice(2);

class Kind {
  answered = 0;
  failed = 0;
  /** That were opened. */
  connections = 0;
  /** The first ones, each with when it was. */
  readonly failures: string[] = [];
  readonly #agent: Agent | false;

  constructor(agent: Agent | false) {
    this.#agent = agent;
  }

  ask(): void {
    const request = get(url!, { agent: this.#agent, timeout: TIMEOUT_MS }, (response) => {
      if (response.statusCode !== 200) this.#fail(`status ${response.statusCode}`);
      response.on('error', (error) => this.#fail(error.message));
      response.on('end', () => (this.answered += response.statusCode === 200 ? 1 : 0));
      response.resume();
    });
    // A socket that is used again is connected already.
    request.on('socket', (socket) => (this.connections += socket.connecting ? 1 : 0));
    request.on('timeout', () => request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    request.on('error', (error) => this.#fail(error.message));
  }

  toJSON(): unknown {
    const { answered, failed, failures, connections } = this;
    return { answered, failed, connections, failures };
  }

  #fail(message: string): void {
    this.failed += 1;
    if (this.failures.length < KEPT_FAILURES) this.failures.push(`${new Date().toISOString()} ${message}`);
  }
}

const counts = { new: new Kind(false), kept: new Kind(new Agent({ keepAlive: true, maxSockets: 1 })) };
setInterval(
  () => {
    counts.new.ask();
    counts.kept.ask();
  },
  1000 / Number(rate),
);

createServer((_request, response) => response.end(`${JSON.stringify(counts)}\n`)).listen(9090, '::');
process.on('SIGTERM', () => process.exit(0));
