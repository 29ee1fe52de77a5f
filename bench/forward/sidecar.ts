/** The real forwarder with fixed routes: `node sidecar.ts LISTEN:BACKEND …` (ports on 127.0.0.1). */
import { Balancer } from '../../sidecar/balance/balancer.ts';
import { Forwarder } from '../../sidecar/forward/forwarder.ts';
import type { EndpointGroup } from '../../sidecar/services/decision.ts';
import type { Logger } from '../../process/log.ts';
import { candidateOf, serviceOf } from '../../test/fixtures/mesh.ts';

const HOST = '127.0.0.1';

const log: Logger = {
  error: (message, fields) => console.error(message, fields),
  warn: (message, fields) => console.error(message, fields),
  info() {},
  debug() {},
  isEnabled: () => false,
  with: () => log,
};

function groupOf(backendPort: number): EndpointGroup {
  const port = { name: '', port: backendPort, protocol: 'tcp', appProtocol: '' } as const;
  const service = serviceOf(`bench/port-${backendPort}`, { ports: [port] });
  return { service, port, candidates: [candidateOf(HOST, backendPort)] };
}

const groups = new Map<number, EndpointGroup>();
const forwarder = new Forwarder({
  routes: {
    decide(destination) {
      const group = groups.get(destination.port);
      if (group === undefined)
        return { action: 'refuse', reason: 'unknown-service', detail: 'Not in this bench.' };
      return { action: 'balance', group };
    },
    doubt: () => false,
    use: () => ({ known: Promise.resolve(), release() {} }),
  },
  balancer: new Balancer({ random: Math.random }),
  log,
});

for (const pair of process.argv.slice(2)) {
  const [listenPort = 0, backendPort = 0] = pair.split(':').map(Number);
  const group = groupOf(backendPort);
  groups.set(backendPort, group);
  const listening = forwarder.listen({
    name: group.service.key,
    address: { address: HOST, port: listenPort },
    destinationOf: () => ({
      kind: 'service',
      service: group.service.key,
      port: backendPort,
      protocol: 'tcp',
    }),
  });
  if (!listening.ok) throw new Error(listening.message);
}
