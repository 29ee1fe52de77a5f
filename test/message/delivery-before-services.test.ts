import test, { type ExecutionContext } from 'ava';
import { Balancer } from '../../sidecar/balance/balancer.ts';
import { MessageCounters } from '../../sidecar/message/counters.ts';
import { Delivery } from '../../sidecar/message/delivery.ts';
import { Locator } from '../../sidecar/message/locate.ts';
import { DEFAULT_PEERS, Peers } from '../../sidecar/message/peers.ts';
import { Directory } from '../../sidecar/services/directory.ts';
import { ECHO, HOST, logInto, serviceAt } from './harness.ts';

// Messages that come before any control plane has told which Services there are.

function setUp(t: ExecutionContext) {
  const subscribed: string[] = [];
  const timers = new Set<() => void>();
  const directory = new Directory({
    locality: { zone: '', node: '' },
    source: { subscribe: (service) => void subscribed.push(service), unsubscribe: () => {} },
    schedule: (_delayMs, run) => {
      timers.add(run);
      return () => void timers.delete(run);
    },
    endpointsIdleMs: 60_000,
    waitMs: 2_000,
    pinned: [],
  });
  const peers = new Peers(DEFAULT_PEERS);
  t.teardown(() => {
    directory.close();
    peers.close();
  });
  const delivery = new Delivery({
    directory,
    locator: new Locator(5054),
    ownAddresses: () => new Set([HOST]),
    taker: ECHO,
    balancer: new Balancer({ random: Math.random }),
    peers,
    counters: new MessageCounters(),
    deliveryTimeoutMs: 10_000,
    log: logInto([]),
  });
  const outcomeOf = async (service: string): Promise<string> => {
    const { outcome } = await delivery.deliver({ service, payload: '', hops: 0, from: undefined }, HOST);
    return outcome;
  };
  return { directory, subscribed, timers, outcomeOf };
}

test('invented names wait together and are not asked for; what they are is told with the Services', async (t) => {
  const { directory, subscribed, timers, outcomeOf } = setUp(t);
  const invented = Array.from({ length: 1_000 }, (_, index) => outcomeOf(`demo/x-${index}`));
  const meant = outcomeOf('demo/hello');
  t.deepEqual(subscribed, []);
  t.is(timers.size, 1);
  directory.apply([{ kind: 'services-known' }, ...serviceAt('hello', [HOST])]);
  t.deepEqual([...new Set(await Promise.all(invented))], ['unknown-service']);
  t.is(await meant, 'delivered');
  t.deepEqual(subscribed, ['demo/hello']);
});

test('where nobody tells the Services, senders are told so', async (t) => {
  const { directory, subscribed, timers, outcomeOf } = setUp(t);
  const waiting = outcomeOf('demo/hello');
  for (const run of timers) run();
  t.is(await waiting, 'not-ready');
  t.is(await outcomeOf('demo/hello'), 'not-ready', 'and from then on at once');
  directory.sourceAnswers(true);
  const again = outcomeOf('demo/hello');
  directory.sourceAnswers(false);
  t.is(await again, 'not-ready');
  t.deepEqual(subscribed, []);
});
