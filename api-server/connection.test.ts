import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { StartupError } from '../process/listen.ts';
import { connectApiServer } from './connection.ts';

async function directory(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'cortexflow-connection-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

function connect(environment: Record<string, string>, serviceAccountDirectory = '/nonexistent') {
  return connectApiServer({ lookup: (name) => environment[name], serviceAccountDirectory });
}

const KUBECONFIG = `
apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: 'https://api.example:6443' } }]
users: [{ name: u, user: { token: secret } }]
contexts: [{ name: x, context: { cluster: c, user: u } }]
current-context: x
`;

test('in a pod, the API server is where the environment says, whatever address family', async (t) => {
  const files = await directory(t);
  await writeFile(join(files, 'token'), 'token\n');
  await writeFile(join(files, 'ca.crt'), '');
  const v4 = await connect({ KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' }, files);
  t.is(v4.address, 'https://10.96.0.1:443');
  const v6 = await connect({ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }, files);
  t.is(v6.address, 'https://[fd00::1]:443');
});

test('a pod without its token is told what is missing', async (t) => {
  const error = await t.throwsAsync(connect({ KUBERNETES_SERVICE_HOST: '10.96.0.1' }), {
    instanceOf: StartupError,
  });
  t.regex(error.message, /^Cannot read \/nonexistent\/(token|ca\.crt), .*automountServiceAccountToken/);
});

test('a kubeconfig that is named wins over the pod, and the one at home comes last', async (t) => {
  const home = await directory(t);
  const file = join(home, 'config');
  await writeFile(file, KUBECONFIG);
  const inPod = { KUBERNETES_SERVICE_HOST: '10.96.0.1', HOME: home };
  t.is((await connect({ ...inPod, KUBECONFIG: file })).address, 'https://api.example:6443');
});

test('mistakes are told with the file and what to do', async (t) => {
  const home = await directory(t);
  const broken = join(home, 'broken');
  await writeFile(broken, KUBECONFIG.replace('current-context: x', 'current-context: y'));
  const mistakes: [Record<string, string>, RegExp][] = [
    [{ HOME: home }, /^No Kubernetes API server to talk to: .*name a kubeconfig in KUBECONFIG$/],
    [{ KUBECONFIG: join(home, 'missing') }, /^Cannot read the kubeconfig .*missing: ENOENT/],
    [{ KUBECONFIG: broken }, /no cluster or no user for its context "y": choose one with kubectl config/],
  ];
  for (const [environment, message] of mistakes) {
    await t.throwsAsync(connect(environment), { instanceOf: StartupError, message });
  }
});
