/**
 * How much later a pod is ready because it is in the mesh: from its creation to its condition Ready, by turns with a
 * sidecar and without one, on one node of the tests' cluster.
 *
 *   npm run cluster && npm run bench:readiness -- [--rounds 10]
 */
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { Cluster } from '../../test/cluster/cluster.ts';
import { installMesh } from '../../test/cluster/journey/mesh.ts';
import { pod } from '../../test/cluster/journey/objects.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '10' } } });

const NAMESPACE = 'bench-readiness';
const KINDS = ['plain', 'meshed'] as const;

const cluster = Cluster.find();
if (cluster === undefined) throw new Error('There is no cluster: npm run cluster');
await installMesh(cluster);
await cluster.mustKubectl(['create', 'namespace', NAMESPACE]);
const secondsOf = { plain: [] as number[], meshed: [] as number[] };
try {
  await secondsUntilReady(cluster, 'plain'); // Unmeasured: the image and the node's caches.
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const kind of KINDS) secondsOf[kind].push(await secondsUntilReady(cluster, kind));
  }
} finally {
  await cluster.mustKubectl(['delete', 'namespace', NAMESPACE, '--wait=true']);
}
const rows = KINDS.map((kind) => ({
  pod: kind,
  'ready after, s': median(secondsOf[kind]).toFixed(2),
  lowest: Math.min(...secondsOf[kind]).toFixed(2),
  highest: Math.max(...secondsOf[kind]).toFixed(2),
}));
console.table(rows);
console.log(JSON.stringify({ bench: 'readiness', ...values, load: loadavg(), rows }));

/** Without a readiness probe: ready is, whose containers have started. */
async function secondsUntilReady(on: Cluster, kind: (typeof KINDS)[number]): Promise<number> {
  const annotations = kind === 'plain' ? { 'proxy-injection': 'disabled' } : {};
  const manifest = JSON.stringify(pod({ name: kind, annotations, node: 'node-a', ready: 'none' }));
  const inNamespace = ['-n', NAMESPACE];
  const begun = performance.now();
  await on.mustKubectl(['create', '-f', '-', ...inNamespace], manifest);
  await on.mustKubectl(['wait', 'pod', kind, '--for=condition=Ready', '--timeout=120s', ...inNamespace]);
  const seconds = (performance.now() - begun) / 1_000;
  await on.mustKubectl(['delete', 'pod', kind, '--wait=true', '--grace-period=1', ...inNamespace]);
  return seconds;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}
