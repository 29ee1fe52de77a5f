/**
 * One program under measurement, told what it is by its arguments: `floor`, a bare server that parses each line and
 * answers it; or `sidecar`, the message API at an address of loopback, where messages for `hello.demo` are taken by
 * whoever has the address `served`.
 *
 *   node bench/message/peer.ts floor|sidecar <address> <port> [served]
 */
import { createServer } from 'node:net';
import { createLogger } from '../../process/log.ts';
import { Balancer } from '../../sidecar/balance/balancer.ts';
import { MessageCounters } from '../../sidecar/message/counters.ts';
import { Delivery } from '../../sidecar/message/delivery.ts';
import { DEFAULT_MESSAGE_LIMITS } from '../../sidecar/message/limits.ts';
import { Locator } from '../../sidecar/message/locate.ts';
import { MessageApi } from '../../sidecar/message/message-api.ts';
import { DEFAULT_PEERS, Peers } from '../../sidecar/message/peers.ts';
import { ECHO, serviceAt, tableOf } from '../../test/message/harness.ts';

const [kind, address = '', port = '', served = ''] = process.argv.slice(2);

if (kind === 'floor') serveFloor();
else serveSidecar();
process.send?.('listening');
process.on('disconnect', () => process.exit());

function serveFloor(): void {
  const server = createServer((socket) => {
    let begun = '';
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      const lines = (begun + chunk.toString()).split('\n');
      begun = lines.pop() ?? '';
      socket.write(lines.map(answer).join(''));
    });
  });
  server.listen(Number(port), address);
}

function answer(line: string): string {
  const { payload, service } = JSON.parse(line) as { payload: string; service: string };
  return `${JSON.stringify({ payload, service, direction: 'Outcoming' })}\n`;
}

function serveSidecar(): void {
  const log = createLogger({
    format: 'json',
    level: () => 'error',
    write: console.error,
    now: () => new Date(),
  });
  const table = tableOf(...serviceAt('hello', [served]));
  const counters = new MessageCounters();
  const own = new Set([address]);
  const delivery = new Delivery({
    directory: {
      table,
      use: () => ({ known: Promise.resolve(), release() {} }),
      servicesTold: async () => {},
      waitMs: 0,
    },
    locator: new Locator(Number(port)),
    ownAddresses: () => own,
    taker: ECHO,
    balancer: new Balancer({ random: Math.random }),
    peers: new Peers(DEFAULT_PEERS),
    counters,
    deliveryTimeoutMs: DEFAULT_MESSAGE_LIMITS.deliveryTimeoutMs,
    log,
  });
  const limits = { ...DEFAULT_MESSAGE_LIMITS, messagesPerSecond: 1_000_000 };
  const api = new MessageApi({ deliver: delivery.deliver.bind(delivery), limits, counters, log });
  const listening = api.listen({ address, port: Number(port) });
  if (typeof listening === 'string') throw new Error(`${address}:${port}: ${listening}`);
}
