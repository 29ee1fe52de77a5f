import { journeys } from '../journey/journey.ts';
import { assertNothingFailed } from '../journey/load.ts';
import { installMesh, removeMesh } from '../journey/mesh.ts';
import { deployment, service } from '../journey/objects.ts';

// The mesh is taken off a cluster on which applications run, and put back.

const journey = journeys({ name: 'removal' });
/** Without a mesh, nobody tries another pod while kube-proxy has not heard yet that this one is leaving. */
const container = { lifecycle: { preStop: { sleep: { seconds: 5 } } } };

journey(
  'delete -k breaks nothing that runs, also when applications roll before the mesh is back',
  async (t, stage) => {
    const { cluster } = stage;
    await stage.apply(deployment({ name: 'server', replicas: 3, container }), service({ name: 'server' }));
    await stage.untilRolledOut('server');
    const load = await stage.startLoad({ url: 'http://server:8080' });
    try {
      await removeMesh(cluster);
      await load.goOn(200);
      assertNothingFailed(t, await load.report());
      // None of the pods that the load's sidecar knows is there afterwards.
      await stage.kubectl(['set', 'env', 'deployment/server', 'VERSION=2']);
      await stage.untilRolledOut('server');
      await load.untilAnsweredBy(await stage.pods('server'));
      t.deepEqual(await cluster.pods(stage.namespace, 'app=server,cortexflow.io/injected=true'), []);
      await load.goOn(200);
      assertNothingFailed(t, await load.report());
    } finally {
      await installMesh(cluster);
    }
    await stage.kubectl(['set', 'env', 'deployment/server', 'VERSION=3']);
    await stage.untilRolledOut('server');
    const pods = await stage.pods('server');
    await load.untilAnsweredBy(pods);
    t.is((await cluster.pods(stage.namespace, 'app=server,cortexflow.io/injected=true')).length, pods.length);
    assertNothingFailed(t, await load.stop());
  },
);
