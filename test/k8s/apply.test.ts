import { readFileSync } from 'node:fs';
import test from 'ava';
import { startApiServer, type TestApiServer, whyNoApiServer } from '../cluster/api-server.ts';
import { testThatNeeds } from '../cluster/requirement.ts';
import { build, directoryOf, type Kustomization, KUSTOMIZATIONS } from './kustomize.ts';
import { allOf } from './manifest.ts';

const testWithServer = testThatNeeds(whyNoApiServer(), test.serial);

const WEBHOOKS = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/cortexflow-injector';

// One after another: all of them apply to the same names.
let server: TestApiServer;

test.before(async () => {
  if (whyNoApiServer() === undefined) server = await startApiServer();
});
test.after.always(() => server?.stop());

/** One line for each object: `service/injector unchanged`. */
async function apply(kustomization: Kustomization, ...flags: readonly string[]): Promise<string[]> {
  return lines('apply', ...flags, '-k', directoryOf(kustomization));
}

async function lines(...command: readonly string[]): Promise<string[]> {
  const { code, stdout, stderr } = await server.kubectl(command);
  if (code !== 0) throw new Error(`kubectl ${command.join(' ')}: ${stderr}`);
  return stdout.split('\n').filter((line) => line !== '');
}

interface Configuration {
  readonly webhooks: readonly {
    readonly name: string;
    readonly clientConfig: { readonly caBundle?: string };
  }[];
}

async function webhooks(): Promise<Configuration['webhooks']> {
  const { body } = await server.call({ method: 'GET', path: WEBHOOKS });
  return (body as Configuration).webhooks;
}

/** What the injector does, as it does it: with the field as its own. */
async function fillIn(caBundle: string): Promise<void> {
  const patch = (await webhooks()).map((_, index) => ({
    op: 'add',
    path: `/webhooks/${index}/clientConfig/caBundle`,
    value: caBundle,
  }));
  const contentType = 'application/json-patch+json';
  const { status } = await server.call({ method: 'PATCH', path: WEBHOOKS, body: patch, contentType });
  if (status !== 200) throw new Error(`${status}`);
}

/** The API server takes nothing but certificates; which one does not matter here. */
function someAuthority(): string {
  return readFileSync(server.admin.certificateAuthority).toString('base64');
}

/** What changes with every change, of everything that was applied. */
async function versions(kustomization: Kustomization): Promise<string[]> {
  const what = '{range .items[*]}{.kind} {.metadata.name} {.metadata.resourceVersion}{"\\n"}{end}';
  return lines('get', '-o', `jsonpath=${what}`, '-k', directoryOf(kustomization));
}

for (const kustomization of KUSTOMIZATIONS) {
  testWithServer(`${kustomization}: applying it again changes nothing`, async (t) => {
    await apply(kustomization);
    await fillIn(someAuthority());
    const before = await versions(kustomization);
    t.is(before.length, (await build(kustomization)).length);

    const again = await apply(kustomization);
    t.deepEqual(await versions(kustomization), before);
    // kubectl sends a budget's selector each time, since that is replaced and never merged, and calls it
    // configured, though it is as it was.
    const others = again.filter((line) => !line.startsWith('poddisruptionbudget'));
    t.deepEqual(
      others.filter((line) => !line.endsWith(' unchanged')),
      [],
    );
    for (const { name, clientConfig } of await webhooks()) t.is(clientConfig.caBundle, someAuthority(), name);
  });
}

testWithServer('applying it server-side leaves the caBundle as well', async (t) => {
  await apply('overlays/fail-closed');
  await fillIn(someAuthority());
  await apply('overlays/fail-closed', '--server-side', '--force-conflicts');
  t.is((await webhooks()).length, 2);
  for (const { name, clientConfig } of await webhooks()) t.is(clientConfig.caBundle, someAuthority(), name);
});

testWithServer('from one overlay to another, what only the former had is gone', async (t) => {
  const ways = ['overlays/fail-closed', 'overlays/opt-in', '.', 'overlays/fail-closed', '.'] as const;
  for (const kustomization of ways) {
    await apply(kustomization);
    const [wanted] = allOf(await build(kustomization), 'MutatingWebhookConfiguration');
    t.like({ webhooks: await webhooks() }, { webhooks: wanted?.webhooks ?? [] }, kustomization);
    t.is((await webhooks()).length, wanted?.webhooks.length ?? 0, kustomization);
  }
});

testWithServer('the pods of the mesh itself meet the Pod Security Standard restricted', async (t) => {
  await apply('overlays/ha');
  await server.createNamespace('restricted', { 'pod-security.kubernetes.io/enforce': 'restricted' });
  for (const { metadata, spec } of allOf(await build('overlays/ha'), 'Deployment')) {
    await server.createServiceAccount(spec.template.spec.serviceAccountName, 'restricted');
    const pod = { metadata: { ...spec.template.metadata, name: metadata.name }, spec: spec.template.spec };
    const { status, body } = await server.call({
      method: 'POST',
      path: '/api/v1/namespaces/restricted/pods?dryRun=All',
      body: { apiVersion: 'v1', kind: 'Pod', ...pod },
    });
    t.is(status, 201, JSON.stringify(body));
  }
});

testWithServer('deleting it leaves nothing', async (t) => {
  await apply('overlays/fail-closed');
  const path = directoryOf('overlays/fail-closed');
  // Somebody has to empty the namespace, and no controller runs here: that is for the journeys on a whole cluster.
  await lines('delete', '--wait=false', '-k', path);
  const left = await lines('get', '--ignore-not-found', '-o', 'name', '-k', path);
  t.deepEqual(left, ['namespace/cortexflow']);
});
