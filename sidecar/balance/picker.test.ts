import test from 'ava';
import * as fc from 'fast-check';
import { candidateOf } from '../../test/fixtures/mesh.ts';
import type { Candidate } from '../services/decision.ts';
import { AffinityBook, AffinityPicker } from './affinity.ts';
import { type Contender, contendersOf } from './contender.ts';
import { LoadBook } from './load.ts';
import type { Picker, Random } from './picker.ts';
import { connections, latencyAndConnections, PowerOfTwoPicker } from './power-of-two.ts';
import { RendezvousHashPicker } from './rendezvous-hash.ts';
import { RoundRobinPicker } from './round-robin.ts';

type Build = (contenders: readonly Contender[], random: Random) => Picker;

const POLICIES: Readonly<Record<string, Build>> = {
  'power of two': (contenders, random) => new PowerOfTwoPicker(contenders, random, latencyAndConnections),
  'round robin': (contenders, random) => new RoundRobinPicker(contenders, random),
  'least request': (contenders, random) => new PowerOfTwoPicker(contenders, random, connections),
  'rendezvous hash': (contenders) => new RendezvousHashPicker(contenders, 'sidecar'),
  affinity: (contenders) =>
    new AffinityPicker(
      new RendezvousHashPicker(contenders, 'sidecar'),
      contenders,
      new AffinityBook(),
      1_000,
    ),
};

const NONE: ReadonlySet<string> = new Set();

function candidates(count: number): readonly Candidate[] {
  return Array.from({ length: count }, (_, index) => candidateOf(`10.0.${index >> 8}.${index & 255}`, 80));
}

/** A small generator (mulberry32), so that a failing run can be repeated. */
function seeded(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

for (const [name, build] of Object.entries(POLICIES)) {
  test(`${name}: never an excluded candidate, undefined only when all are excluded`, (t) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.infiniteStream(fc.boolean()),
        fc.infiniteStream(fc.boolean()),
        fc.integer(),
        (count, excluded, failed, seed) => {
          const all = candidates(count);
          const book = new LoadBook();
          const contenders = contendersOf(all, book);
          const exclude = new Set(all.map(({ id }) => id).filter(() => excluded.next().value));
          for (const { load } of contenders) {
            load.connectStarted();
            if (failed.next().value) load.connectFailed(10, 0);
          }
          const picker = build(contenders, seeded(seed));
          for (let round = 0; round < 5; round++) {
            const picked = picker.pick({ clientAddress: `192.0.2.${round}`, exclude }, 1);
            t.is(picked === undefined, exclude.size === count);
            t.false(picked !== undefined && exclude.has(picked.candidate.id));
          }
        },
      ),
    );
  });

  test(`${name}: one that failed of late is not the first choice, until that is long ago`, (t) => {
    const contenders = contendersOf(candidates(3), new LoadBook());
    const failed = contenders[1];
    failed?.load.connectStarted();
    failed?.load.connectFailed(3_000, 0);
    const picker = build(contenders, seeded(1));
    const isPickedAt = (nowMs: number): boolean =>
      Array.from({ length: 300 }, (_, client) =>
        picker.pick({ clientAddress: `192.0.2.${client}`, exclude: NONE }, nowMs),
      ).some((picked) => picked?.candidate === failed?.candidate);
    t.false(isPickedAt(1));
    t.true(isPickedAt(120_000));
  });

  test(`${name}: idle endpoints share evenly`, (t) => {
    const contenders = contendersOf(candidates(10), new LoadBook());
    const picker = build(contenders, seeded(7));
    const counts = new Map<string, number>();
    for (let client = 0; client < 10_000; client++) {
      const clientAddress = `10.${client >> 16}.${(client >> 8) & 255}.${client & 255}`;
      const id = picker.pick({ clientAddress, exclude: NONE }, 0)?.candidate.id ?? '';
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    t.is(counts.size, 10);
    // Standard deviation of a fair share is 30: six of them never happen by chance.
    for (const count of counts.values()) t.true(Math.abs(count - 1_000) < 180, `share of ${count}`);
  });
}

test('power of two: prefers fewer connections, and the nearer of equals', (t) => {
  const contenders = contendersOf(candidates(2), new LoadBook());
  const [far, near] = contenders;
  const picker = new PowerOfTwoPicker(contenders, seeded(3), latencyAndConnections);
  far?.load.connectStarted();
  far?.load.connectSucceeded(40, 0);
  near?.load.connectStarted();
  near?.load.connectSucceeded(1, 0);
  const request = { clientAddress: '', exclude: NONE };
  t.is(picker.pick(request, 0), near);
  for (let open = 0; open < 100; open++) near?.load.connectStarted();
  t.is(picker.pick(request, 0), far);
});

test('power of two: keeps connections even when they are held open', (t) => {
  const contenders = contendersOf(candidates(10), new LoadBook());
  const picker = new PowerOfTwoPicker(contenders, seeded(5), latencyAndConnections);
  for (let open = 0; open < 1_000; open++) {
    picker.pick({ clientAddress: '', exclude: NONE }, 0)?.load.connectStarted();
  }
  for (const { load } of contenders) t.true(load.active >= 95 && load.active <= 105, `${load.active} open`);
});

test('least request: of two at random the one with fewer connections, however long it takes to connect', (t) => {
  const contenders = contendersOf(candidates(4), new LoadBook());
  const picker = new PowerOfTwoPicker(contenders, seeded(5), connections);
  const [fresh, ...busy] = contenders;
  fresh?.load.connectStarted();
  fresh?.load.connectSucceeded(1_000, 0);
  for (const { load } of busy) for (let open = 0; open < 200; open++) load.connectStarted();
  for (let open = 0; open < 100; open++) {
    picker.pick({ clientAddress: '', exclude: NONE }, 0)?.load.connectStarted();
  }
  // It is one of the two drawn half of the time.
  const got = (fresh?.load.active ?? 0) - 1;
  t.true(got > 25 && got < 75, `${got} of 100 connections to the one that was free`);
});

for (const [name, build] of Object.entries(POLICIES)) {
  test(`${name}: a dead endpoint costs ever fewer connections their first attempt`, (t) => {
    const contenders = contendersOf(candidates(3), new LoadBook());
    const [dead] = contenders;
    const picker = build(contenders, seeded(9));
    /** When the attempts to connect to the dead one give up. */
    let timeouts: number[] = [];
    let delayed = 0;
    for (let nowMs = 0; nowMs < 120_000; nowMs += 10) {
      for (const due of timeouts.filter((atMs) => atMs <= nowMs)) dead?.load.connectFailed(3_000, due);
      timeouts = timeouts.filter((atMs) => atMs > nowMs);
      const load = picker.pick({ clientAddress: `192.0.2.${nowMs % 251}`, exclude: NONE }, nowMs)?.load;
      load?.connectStarted();
      if (load !== dead?.load) {
        load?.connectSucceeded(1, nowMs);
        load?.closed();
      } else {
        timeouts.push(nowMs + 3_000);
        // Nobody can know before the first one has given up.
        if (nowMs >= 4_000) delayed++;
      }
    }
    t.true(delayed > 0 && delayed <= 7, `${delayed} of 12000 were delayed`);
  });
}

test('rendezvous hash: when an endpoint leaves, only its own clients move', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 30 }), fc.nat(), fc.array(fc.ipV4()), (count, leaving, clients) => {
      const all = candidates(count);
      const gone = all[leaving % count];
      const before = new RendezvousHashPicker(contendersOf(all, new LoadBook()), 'sidecar');
      const after = new RendezvousHashPicker(
        contendersOf(
          all.filter((candidate) => candidate !== gone),
          new LoadBook(),
        ),
        'sidecar',
      );
      for (const clientAddress of clients) {
        const request = { clientAddress, exclude: NONE };
        const was = before.pick(request, 0)?.candidate;
        if (was !== gone) t.is(after.pick(request, 0)?.candidate, was);
      }
    }),
  );
});

test('affinity: a client keeps its endpoint when endpoints are added, until its time is over', (t) => {
  const book = new AffinityBook();
  const loads = new LoadBook();
  const clients = Array.from({ length: 200 }, (_, index) => `192.0.2.${index}`);
  const picker = (count: number): Picker => {
    const contenders = contendersOf(candidates(count), loads);
    return new AffinityPicker(new RendezvousHashPicker(contenders, 'sidecar'), contenders, book, 1_000);
  };
  const endpoints = (from: Picker, nowMs: number): readonly (string | undefined)[] =>
    clients.map((clientAddress) => from.pick({ clientAddress, exclude: NONE }, nowMs)?.candidate.id);
  const first = endpoints(picker(2), 0);
  t.deepEqual(endpoints(picker(20), 900), first);
  t.deepEqual(endpoints(picker(20), 1_800), first, 'each connection extends the time');
  t.notDeepEqual(endpoints(picker(20), 2_800), first);
});

test('affinity: a client moves with its endpoint gone or not answering, and stays where it moved', (t) => {
  const book = new AffinityBook();
  const contenders = contendersOf(candidates(5), new LoadBook());
  const picker = new AffinityPicker(new RendezvousHashPicker(contenders, 'sidecar'), contenders, book, 1_000);
  const request = { clientAddress: '192.0.2.1', exclude: NONE };
  const home = picker.pick(request, 0)?.candidate.id ?? '';
  const moved = picker.pick({ ...request, exclude: new Set([home]) }, 1)?.candidate.id;
  t.not(moved, home);
  t.is(picker.pick(request, 2)?.candidate.id, moved);
});

test('affinity: remembers a bounded number of clients, those seen last', (t) => {
  const book = new AffinityBook();
  for (let client = 0; client < 30_000; client++) {
    book.remember(`client ${client}`, 'endpoint', 1_000);
    book.remember('client 0', 'endpoint', 1_000);
  }
  t.is(book.size, 10_000);
  t.is(book.endpointOf('client 0', 0), 'endpoint');
  t.is(book.endpointOf('client 29999', 0), 'endpoint');
  t.is(book.endpointOf('client 1', 0), undefined);
});
