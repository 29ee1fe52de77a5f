/**
 * A forwarder of flows in a process that has no file descriptor left: `node udp-shortage.ts BACKEND` (a port on
 * 127.0.0.1). Tells its port; told a number, it has so many descriptors again. Told anything, it tells its counters.
 */
import { closeSync, openSync } from 'node:fs';
import { LogLevel, stderrLogger } from '../../process/log.ts';
import { Balancer } from '../../sidecar/balance/balancer.ts';
import { Udp } from '../../sidecar/datagram/udp.ts';
import { FlowForwarder } from '../../sidecar/flows/forwarder.ts';
import type { EndpointGroup } from '../../sidecar/services/decision.ts';
import { candidateOf } from '../fixtures/mesh.ts';

const HOST = '127.0.0.1';
const port = Number(process.argv[2]);
const candidate = candidateOf(HOST, port);
const group = {
  service: { key: 'demo/echo' },
  port: { port: 7, protocol: 'udp' },
  candidates: [candidate],
} as unknown as EndpointGroup;

const forwarder = new FlowForwarder({
  routes: {
    decide: () => ({ action: 'balance', group }),
    doubt: () => false,
    use: () => ({ known: Promise.resolve(), release() {} }),
  },
  balancer: new Balancer({ random: Math.random }),
  log: stderrLogger('test', 'json', new LogLevel('error')),
  udp: new Udp(),
});
const listening = forwarder.listen({
  address: { address: HOST, port: 0 },
  destination: { kind: 'service', service: 'demo/echo', port: 7, protocol: 'udp' },
});
if (!listening.ok) throw new Error(listening.code);

const taken: number[] = [];
try {
  for (;;) taken.push(openSync('/dev/null', 'r'));
} catch {
  // That was the last one.
}
process.on('message', (given) => {
  for (const descriptor of taken.splice(0, Number(given))) closeSync(descriptor);
  process.send?.([...forwarder.services][0]?.counters);
});
process.send?.(listening.address.port);
