/** The real forwarder of flows with one fixed route: `node sidecar.ts LISTEN BACKEND` (ports on 127.0.0.1). */
import { LogLevel, stderrLogger } from '../../process/log.ts';
import { Balancer } from '../../sidecar/balance/balancer.ts';
import { Udp } from '../../sidecar/datagram/udp.ts';
import { FlowForwarder } from '../../sidecar/flows/forwarder.ts';
import type { EndpointGroup } from '../../sidecar/services/decision.ts';
import { candidateOf, serviceOf } from '../../test/fixtures/mesh.ts';

const HOST = '127.0.0.1';
const [listen = 0, backend = 0] = process.argv.slice(2).map(Number);

const port = { name: '', port: 1, protocol: 'udp', appProtocol: '' } as const;
const service = serviceOf('bench/udp', { ports: [port] });
const group: EndpointGroup = { service, port, candidates: [candidateOf(HOST, backend)] };

const forwarder = new FlowForwarder({
  routes: {
    decide: () => ({ action: 'balance', group }),
    doubt: () => false,
    use: () => ({ known: Promise.resolve(), release() {} }),
  },
  balancer: new Balancer({ random: Math.random }),
  log: stderrLogger('bench', 'text', new LogLevel('warn')),
  udp: new Udp(),
});
const listening = forwarder.listen({
  address: { address: HOST, port: listen },
  destination: { kind: 'service', service: service.key, port: 1, protocol: 'udp' },
});
if (!listening.ok) throw new Error(listening.code);
