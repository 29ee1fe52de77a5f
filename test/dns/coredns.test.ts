/** The sidecar's answers beside CoreDNS's, both on what one API server tells. */
import test, { type ExecutionContext } from 'ava';
import { startApiServer, type TestApiServer, whyNoApiServer } from '../cluster/api-server.ts';
import { whatIsMissing } from '../cluster/binaries.ts';
import { testThatNeeds } from '../cluster/requirement.ts';
import { claimPort, startControlPlane, startSidecar } from '../system/programs.ts';
import { until } from '../until.ts';
import { OUTSIDE, startCoreDns } from './coredns.ts';
import { compare, meshIn, questionsIn, TABLE_QUESTIONS, ZONE } from './comparison.ts';
import { dig, diggerHere } from './dig.ts';

const testWithCoreDns = testThatNeeds(whyNoApiServer() ?? whatIsMissing(['coredns'], ['dig']), test.serial);

async function startMesh(t: ExecutionContext, server: TestApiServer, upstream: number) {
  const { xds } = await startControlPlane(t, {
    CORTEXFLOW_SOURCE: 'kubernetes',
    KUBECONFIG: server.kubeconfig,
  }).serving();
  const port = await claimPort();
  const sidecar = startSidecar(t, {
    CORTEXFLOW_CONTROL_PLANE: String(xds),
    CORTEXFLOW_DNS_LISTEN: `127.0.0.1:${port}`,
    CORTEXFLOW_DNS_UPSTREAMS: `127.0.0.1:${upstream}`,
  });
  const { admin } = await sidecar.serving();
  const metrics = async (): Promise<string> => (await fetch(`http://${String(admin)}/metrics`)).text();
  return { port, metrics };
}

function byTable(metrics: string): number {
  return metrics
    .split('\n')
    .filter(
      (line) => line.startsWith('cortexflow_dns_requests_total{') && line.includes('answered_by="table"'),
    )
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

testWithCoreDns('the sidecar answers as CoreDNS does, and most of it by itself', async (t) => {
  t.timeout(240_000);
  const server = await startApiServer();
  t.teardown(() => server.stop());
  await server.createNamespace('demo');
  const { code, stderr } = await server.kubectl(['apply', '--server-side', '-f', '-'], meshIn('demo'));
  t.is(code, 0, stderr);
  const coreDns = await startCoreDns(
    t,
    (port) => `
cluster.local:${port} in-addr.arpa:${port} ip6.arpa:${port} {
  bind 127.0.0.1
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig ${server.kubeconfig}
    pods insecure
    ttl 5
  }
}
.:${port} {
  bind 127.0.0.1${OUTSIDE}
}`,
  );
  const { port, metrics } = await startMesh(t, server, coreDns.port);
  for (const each of [coreDns.port, port]) {
    await until(
      'the address of pods-0',
      () => dig(each, `pods-0.pods.${ZONE}`),
      ({ answer }) => answer.length === 1,
    );
  }
  // What was asked before the sidecar had a table was forwarded, and says nothing of one.
  await until(
    'an answer by the table',
    async () => {
      await dig(port, `pods-0.pods.${ZONE}`);
      return byTable(await metrics());
    },
    (answered) => answered > 0,
  );
  const [theirs, ours] = [diggerHere(coreDns.port), diggerHere(port)];
  await compare(t, { theirs, ours, questions: questionsIn('demo') });
  const answered = byTable(await metrics());
  // Which endpoints are not there is for others to say until the control plane has been quiet for a while.
  t.true(answered > TABLE_QUESTIONS * 0.6, `${answered} by the table, where it knows ${TABLE_QUESTIONS}`);
});
