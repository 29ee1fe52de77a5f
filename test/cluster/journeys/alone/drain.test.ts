import { journeys } from '../../journey/journey.ts';
import { assertNothingFailed } from '../../journey/load.ts';
import { untilMeshIsReady } from '../../journey/mesh.ts';
import { deployment, service } from '../../journey/objects.ts';
import { until } from '../../journey/until.ts';

// With two replicas of the mesh's own pods: of one alone, none is left while its node is drained.

const journey = journeys({ name: 'drain', mesh: 'ha' });

journey('a drained node fails no request, and pods that move are in the mesh again', async (t, stage) => {
  const { cluster } = stage;
  await stage.apply(deployment({ name: 'server', replicas: 4 }), service({ name: 'server' }));
  await stage.untilRolledOut('server');
  const load = await stage.startLoad({ url: 'http://server:8080', node: 'node-a' });
  await cluster.drain('node-b');
  try {
    await stage.untilRolledOut('server');
    const pods = await until(
      '4 servers that are not ending',
      () => stage.pods('server'),
      (all) => all.length === 4,
    );
    t.deepEqual([...new Set(pods.map(({ node }) => node))], ['node-a']);
    const injected = await cluster.pods(stage.namespace, 'app=server,cortexflow.io/injected=true');
    t.is(injected.length, 4);
    await load.untilAnsweredBy(pods);
  } finally {
    await cluster.uncordon('node-b');
  }
  assertNothingFailed(t, await load.stop());
  await untilMeshIsReady(cluster);
});
