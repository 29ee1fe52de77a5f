import { journeys, type Stage } from '../journey/journey.ts';
import { assertNothingFailed, type Load } from '../journey/load.ts';
import { deployment, service } from '../journey/objects.ts';

// Pods come and go, and whoever uses their Service takes no notice.

const journey = journeys({ name: 'rolling' });
const URL = 'http://server:8080';

journey('a rolling update fails no request, neither of new nor of kept connections', async (t, stage) => {
  const load = await startLoadOnServer(stage, 3);
  await stage.kubectl(['set', 'env', 'deployment/server', 'VERSION=2']);
  await stage.untilRolledOut('server');
  await load.untilAnsweredBy(await stage.pods('server'));
  assertNothingFailed(t, await load.stop());
});

journey('scaled to 0 a Service is refused, scaled up again it fails nobody', async (t, stage) => {
  await stage.apply(deployment({ name: 'other' }), service({ name: 'other' }));
  const load = await startLoadOnServer(stage, 2);
  await stage.untilRolledOut('other');
  const otherLoad = await stage.startLoad({ name: 'other-load', url: 'http://other:8080' });
  const scaledAt = Date.now();
  await stage.kubectl(['scale', 'deployment/server', '--replicas=0']);
  await stage.kubectl(['wait', 'pod', '-l', 'app=server', '--for=delete', '--timeout=120s']);
  await stage.kubectl(['scale', 'deployment/server', '--replicas=2']);
  await stage.untilRolledOut('server');
  await load.untilAnsweredBy(await stage.pods('server'));
  const answeredAt = Date.now();
  await load.goOn(50);
  const report = await load.stop();
  const outside = report.failures.filter(
    ({ at }) => Date.parse(at) < scaledAt || Date.parse(at) > answeredAt,
  );
  t.deepEqual(outside, []);
  t.true(report.failureCount > 0, 'a request to a Service without pods did not fail');
  const slowest = Math.max(...report.failures.map(({ afterMs }) => afterMs));
  t.log(
    `${report.failureCount} requests were refused while there was no pod, the slowest after ${slowest} ms`,
  );
  t.deepEqual([...new Set(report.failures.map(({ reason }) => reason.split(':')[0]))], ['ECONNRESET']);
  assertNothingFailed(t, await otherLoad.stop());
});

async function startLoadOnServer(stage: Stage, replicas: number): Promise<Load> {
  await stage.apply(deployment({ name: 'server', replicas }), service({ name: 'server' }));
  await stage.untilRolledOut('server');
  return stage.startLoad({ url: URL });
}
