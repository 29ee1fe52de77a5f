/**
 * A forwarder in a process of its own that has one file descriptor left, so that it can accept a connection and
 * not make one. Told so, it says what it has counted, and from then on it has descriptors enough.
 */
import { closeSync, openSync } from 'node:fs';
import { Balancer } from '../../sidecar/balance/balancer.ts';
import { Forwarder } from '../../sidecar/forward/forwarder.ts';
import { stderrLogger, LogLevel } from '../../process/log.ts';
import { balanceOver, DESTINATION, HOST, SERVICE } from './harness.ts';

export interface Counted {
  readonly refused: number;
  readonly failures: number;
  readonly endpoints: readonly { readonly isAvoided: boolean; readonly active: number }[];
}

function takeAllDescriptors(): number[] {
  const taken: number[] = [];
  for (;;) {
    try {
      taken.push(openSync('/dev/null', 'r'));
    } catch {
      return taken;
    }
  }
}

const balancer = new Balancer({ random: Math.random });
const forwarder = new Forwarder({
  routes: balanceOver(process.argv.slice(2).map(Number)),
  balancer,
  log: stderrLogger('sidecar', 'json', new LogLevel('error')),
});
const listening = forwarder.listen({
  name: 'hello.demo:80',
  address: { address: HOST, port: 0 },
  destinationOf: () => DESTINATION,
});
const taken = takeAllDescriptors();
closeSync(taken.pop() ?? -1);

process.once('message', () => {
  for (const descriptor of taken) closeSync(descriptor);
  const { counters } = forwarder.serviceUse(SERVICE);
  const nowMs = performance.now();
  process.send?.({
    refused: counters.closed['local-shortage'],
    failures: counters.connectFailures.local,
    endpoints: Array.from(balancer.loads(SERVICE), (load) => ({
      isAvoided: load.isAvoided(nowMs),
      active: load.active,
    })),
  } satisfies Counted);
});
process.send?.(listening.ok ? listening.address.port : 0);
