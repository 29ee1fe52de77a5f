import test from 'ava';
import { createLogger } from '../process/log.ts';
import { VirtualClock } from '../test/injector/virtual-clock.ts';
import { ControlPlaneAddresses } from './control-plane-addresses.ts';

const logger = createLogger({ format: 'json', level: () => 'error', write: () => {}, now: () => new Date() });

function watched(host: string, answers: Readonly<Record<number, string>>) {
  const clock = new VirtualClock(0);
  const told: (readonly string[])[] = [];
  let asked = 0;
  const addresses = new ControlPlaneAddresses({
    controlPlane: { host, port: 18_000 },
    logger,
    changed: (list) => told.push(list),
    world: {
      now: clock.now,
      schedule: clock.schedule,
      lookup: async () => {
        const answer = answers[asked];
        asked += 1;
        if (answer === undefined) throw new Error('ENOTFOUND');
        return answer;
      },
    },
  });
  /** Until the name has been looked up so many times more. */
  const looked = async (times: number): Promise<void> => {
    for (let time = 0; time < times; time += 1) {
      clock.next();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { addresses, told, looked, clock };
}

test('the name comes first, and where it is known the address that it has', async (t) => {
  const { addresses, told, looked } = watched('control-plane.cortexflow.svc', {
    1: '10.96.0.7',
    2: '10.96.0.7',
    3: 'fd00::7',
  });
  await addresses.start();
  t.deepEqual(addresses.current, ['control-plane.cortexflow.svc:18000']);
  await looked(3);
  t.deepEqual(told, [
    ['control-plane.cortexflow.svc:18000', '10.96.0.7:18000'],
    ['control-plane.cortexflow.svc:18000', '[fd00::7]:18000'],
  ]);
});

test('an address that cannot be confirmed is told for a while, and then no more', async (t) => {
  const { addresses, looked, clock } = watched('control-plane', { 0: '10.96.0.7' });
  await addresses.start();
  await looked(10);
  t.is(clock.now(), 300_000);
  t.is(addresses.current.length, 2);
  await looked(20);
  t.deepEqual(addresses.current, ['control-plane:18000']);
});

test('an IP address is not looked up', async (t) => {
  const { addresses, told, clock } = watched('10.96.0.7', {});
  await addresses.start();
  t.deepEqual(addresses.current, ['10.96.0.7:18000']);
  t.deepEqual(told, []);
  t.false(clock.next());
});

test('closed, it tells nothing more', async (t) => {
  const { addresses, told, clock } = watched('control-plane', { 0: '10.96.0.7', 1: '10.96.0.8' });
  await addresses.start();
  addresses.close();
  t.false(clock.next());
  t.is(told.length, 1);
});
