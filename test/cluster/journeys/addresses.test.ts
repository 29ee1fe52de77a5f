import type { ExecutionContext } from 'ava';
import type { Pod } from '../cluster.ts';
import { journeys, type Stage } from '../journey/journey.ts';
import { APP_PORT, deployment, pod, podTemplate, service } from '../journey/objects.ts';
import { NODES } from '../layout.ts';
import { until } from '../journey/until.ts';

// Every address by which a pod can be called, from in the mesh and from outside of it.

const journey = journeys({ name: 'addresses' });
const SOON = { terminationGracePeriodSeconds: 1 };
const FAMILIES = ['IPv4', 'IPv6'] as const;
const CALLS = 5;
const OPENED = 'cortexflow_tcp_connections_opened_total';
const BALANCED = 'cortexflow_tcp_endpoint_connections_opened_total';

journey('names and addresses reach the pods they mean, through the sidecars', async (t, stage) => {
  const { cluster, namespace } = stage;
  const disabled = { 'proxy-injection': 'disabled' };
  await stage.apply(
    statefulSet('peer', 'each'),
    service({ name: 'each', app: 'peer', spec: { clusterIP: 'None' } }),
    // Another port than that of the pods.
    service({ name: 'peer', port: 80, targetPort: APP_PORT }),
    service({ name: 'from-outside', app: 'peer', spec: { type: 'NodePort' } }),
    service({ name: 'bare' }),
    alias('alias', `peer.${namespace}.svc.cluster.local`),
    pod({ name: 'bare', annotations: disabled, spec: SOON }),
    deployment({ name: 'client', spec: SOON }),
  );
  await stage.kubectl(['rollout', 'status', 'statefulset/peer', '--timeout=300s']);
  await stage.untilRolledOut('client');
  await stage.kubectl(['wait', 'pod', 'bare', '--for=condition=Ready', '--timeout=300s']);
  const [peers, client, bare] = await Promise.all([
    stage.pods('peer'),
    stage.pod('client'),
    stage.pod('bare'),
  ]);
  const names = peers.map(({ name }) => name).toSorted();
  t.deepEqual(names, ['peer-0', 'peer-1']);

  // The name of one pod, and its addresses, are of that pod alone.
  for (const peer of peers) {
    const name = `${peer.name}.each.${namespace}.svc.cluster.local`;
    for (const host of [name, `${peer.name}.each`, ...peer.addresses]) {
      const seen = await during(stage, { client, peer }, async () => {
        t.deepEqual(await call(stage, client, host, APP_PORT), { [peer.name]: CALLS }, host);
      });
      t.is(seen.passedOn, CALLS, `${host} from the client's sidecar`);
      // The kubelet's probe is a client as well.
      t.true(seen.arrived >= CALLS, `${host} at the sidecar of ${peer.name}`);
    }
  }

  // The headless Service's own name means all of them. Which one is called first is for the client to choose.
  const dig = ['dig', '+short', '+search', 'each', 'A', 'each', 'AAAA'];
  const { stdout: known } = await cluster.exec(namespace, client.name, dig);
  t.deepEqual(known.trim().split('\n').toSorted(), peers.flatMap(({ addresses }) => addresses).toSorted());
  const answered = Object.keys(await call(stage, client, 'each', APP_PORT));
  t.true(answered.length > 0 && answered.every((name) => names.includes(name)), answered.join(' '));

  // A Service by its name, its alias and both its addresses reaches each pod.
  const addresses = await clusterAddresses(stage, 'peer');
  t.deepEqual(Object.keys(addresses).toSorted(), [...FAMILIES]);
  const before = await balanced(stage, client);
  let calls = 0;
  for (const host of ['peer', 'alias', ...Object.values(addresses)]) {
    calls += await untilAnsweredBy(stage, client, host, { port: 80, names });
  }
  t.is(
    (await balanced(stage, client)) - before,
    calls,
    'each call of the Service was balanced by the sidecar',
  );

  // A pod calls the Service that it is behind itself, and reaches itself as well.
  const [peer] = peers as [Pod];
  for (const host of ['peer', ...Object.values(addresses)]) {
    const beforeHairpin = await balanced(stage, peer);
    const hairpins = await untilAnsweredBy(stage, peer, host, { port: 80, names });
    t.is((await balanced(stage, peer)) - beforeHairpin, hairpins, `${host} from ${peer.name}`);
  }

  await assertNodePortWorks(t, stage, peers);

  // One end alone is in the mesh.
  const seen = await during(stage, { client, peer }, async () => {
    for (const host of peer.addresses) {
      t.deepEqual(await call(stage, bare, host, APP_PORT), { [peer.name]: CALLS }, `${host} from outside`);
    }
  });
  t.true(seen.arrived >= 2 * CALLS);
  for (const host of ['peer', ...Object.values(addresses)]) {
    await untilAnsweredBy(stage, bare, host, { port: 80, names });
  }
  const bareBefore = await balanced(stage, client, 'bare');
  const bareAddresses = Object.values(await clusterAddresses(stage, 'bare'));
  for (const host of ['bare', ...bareAddresses, ...bare.addresses]) {
    t.deepEqual(await call(stage, client, host, APP_PORT), { bare: CALLS }, `${host} from in the mesh`);
  }
  t.is((await balanced(stage, client, 'bare')) - bareBefore, 3 * CALLS);
  t.deepEqual(
    await cluster.pods(namespace, 'app=bare,cortexflow.io/injected=true'),
    [],
    'that one is outside of the mesh',
  );
});

async function assertNodePortWorks(t: ExecutionContext, stage: Stage, peers: readonly Pod[]): Promise<void> {
  const port = await stage.kubectl([
    'get',
    'service',
    'from-outside',
    '-o',
    'jsonpath={.spec.ports[0].nodePort}',
  ]);
  const sum = async (): Promise<number> => {
    const counts = await Promise.all(peers.map((peer) => arrived(stage, peer)));
    return counts.reduce((total, count) => total + count, 0);
  };
  for (const host of NODES.flatMap(({ address, address6 }) => [address, address6])) {
    const before = await sum();
    const reached = new Set<string>();
    let calls = 0;
    await until(
      `answers of all peers at port ${port} of ${host}`,
      async () => {
        const { code, stdout, stderr } = await stage.cluster.outside(curl(urlOf(host, Number(port))));
        t.is(code, 0, `${host}: ${stderr}`);
        for (const name of Object.keys(countPods(stdout))) reached.add(name);
        calls += CALLS;
        return [...reached];
      },
      (names) => names.length === peers.length,
    );
    t.true((await sum()) - before >= calls, `${host} through the sidecars`);
  }
}

interface Seen {
  /** By the client's sidecar, to an address that is no Service. */
  readonly passedOn: number;
  /** At the peer's sidecar. */
  readonly arrived: number;
}

async function during(
  stage: Stage,
  { client, peer }: { readonly client: Pod; readonly peer: Pod },
  use: () => Promise<void>,
): Promise<Seen> {
  const count = async (): Promise<Seen> => ({
    passedOn: (await stage.metrics(client)).sum(OPENED, { direction: 'outbound', service: 'pass-through' }),
    arrived: await arrived(stage, peer),
  });
  const before = await count();
  await use();
  const after = await count();
  return { passedOn: after.passedOn - before.passedOn, arrived: after.arrived - before.arrived };
}

async function arrived(stage: Stage, peer: Pod): Promise<number> {
  return (await stage.metrics(peer)).sum(OPENED, { direction: 'inbound', service: String(APP_PORT) });
}

async function balanced(stage: Stage, from: Pod, name = 'peer'): Promise<number> {
  return (await stage.metrics(from)).sum(BALANCED, { service: `${stage.namespace}/${name}` });
}

/** Resolves with how many calls it took. */
async function untilAnsweredBy(
  stage: Stage,
  from: Pod,
  host: string,
  { port, names }: { readonly port: number; readonly names: readonly string[] },
): Promise<number> {
  const reached = new Set<string>();
  let calls = 0;
  await until(
    `answers of ${names.join(' and ')} at ${host} to ${from.name}`,
    async () => {
      for (const name of Object.keys(await call(stage, from, host, port))) reached.add(name);
      calls += CALLS;
      return reached;
    },
    (all) => names.every((name) => all.has(name)),
  );
  return calls;
}

/** Calls on connections of their own, one after another. Resolves with the pods that answered, and how often. */
async function call(
  stage: Stage,
  from: Pod,
  host: string,
  port: number,
): Promise<Readonly<Record<string, number>>> {
  const { code, stdout, stderr } = await stage.cluster.exec(
    stage.namespace,
    from.name,
    curl(urlOf(host, port)),
  );
  if (code !== 0) throw new Error(`${from.name} called ${host}: curl ended with ${code}: ${stdout}${stderr}`);
  return countPods(stdout);
}

function curl(url: string): readonly string[] {
  const urls = Array.from({ length: CALLS }, () => url);
  return ['curl', '-sS', '--fail', '--max-time', '60', '-H', 'Connection: close', ...urls];
}

function countPods(answers: string): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const line of answers.trim().split('\n')) {
    const { pod: name } = JSON.parse(line) as { pod: string };
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

function urlOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}/`;
}

/** By family. */
async function clusterAddresses(stage: Stage, name: string): Promise<Readonly<Record<string, string>>> {
  const text = await stage.kubectl(['get', 'service', name, '-o', 'json']);
  const { spec } = JSON.parse(text) as { spec: { ipFamilies: string[]; clusterIPs: string[] } };
  return Object.fromEntries(spec.ipFamilies.map((family, index) => [family, spec.clusterIPs[index]!]));
}

function statefulSet(name: string, serviceName: string): unknown {
  const template = podTemplate({ name, spec: SOON });
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name },
    spec: {
      serviceName,
      replicas: 2,
      podManagementPolicy: 'Parallel',
      selector: { matchLabels: { app: name } },
      template,
    },
  };
}

function alias(name: string, externalName: string): unknown {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { type: 'ExternalName', externalName },
  };
}
