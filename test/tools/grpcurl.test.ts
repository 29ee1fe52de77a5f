import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { leavesOut } from '../cluster/requirement.ts';
import { startControlPlane } from '../system/programs.ts';
import { until } from '../until.ts';
import { deltaStream } from '../xds/client.ts';
import { findGrpcurl, grpcurl, INSTALL_GRPCURL } from './grpcurl.ts';

// A stranger with grpcurl and no proto file can see what the control plane serves, and to whom.

const binary = findGrpcurl();
const EXAMPLE = join(import.meta.dirname, '../../examples/hello');
const ADS = 'envoy.service.discovery.v3.AggregatedDiscoveryService';
const CSDS = 'envoy.service.status.v3.ClientStatusDiscoveryService';

if (binary === undefined) {
  leavesOut('grpcurl', `it is not installed: ${INSTALL_GRPCURL}, then npm run test:tools`, test);
} else {
  test('lists and describes services and our own kinds, by reflection', async (t) => {
    const { inspection } = await serveExample(t);
    const services = (await grpcurl(binary, inspection, 'list')).trim().split('\n');
    t.true(services.includes(ADS));
    t.true(services.includes(CSDS));
    t.true(services.includes('grpc.health.v1.Health'));
    const described = await grpcurl(binary, inspection, 'describe', 'cortexflow.mesh.v1.Service');
    t.regex(described, /repeated \.cortexflow\.mesh\.v1\.ServicePort ports = 7;/);
  });

  test('asks for health', async (t) => {
    const { inspection } = await serveExample(t);
    t.deepEqual(JSON.parse(await grpcurl(binary, inspection, 'grpc.health.v1.Health/Check')), {
      status: 'SERVING',
    });
  });

  test('streams Services and the Endpoints of one, readable', async (t) => {
    const { inspection } = await serveExample(t);
    const resources = async (kind: string, name: string) => {
      const request = {
        typeUrl: `type.googleapis.com/cortexflow.mesh.v1.${kind}`,
        resourceNamesSubscribe: [name],
      };
      const call = ['-d', JSON.stringify(request), inspection, `${ADS}/DeltaAggregatedResources`];
      const answer = await grpcurl(binary, ...call);
      return (JSON.parse(answer) as DeltaAnswer).resources.map(({ resource }) => resource);
    };

    const [service] = await resources('Service', '*');
    t.like(service, {
      '@type': 'type.googleapis.com/cortexflow.mesh.v1.Service',
      namespace: 'demo',
      name: 'hello',
    });
    const slices = await resources('Endpoints', 'demo/hello/*');
    t.true(slices.length > 0);
    for (const slice of slices) t.like(slice, { service: 'hello', ipFamily: 'IP_FAMILY_IPV4' });
  });

  test('given the command in README.md that keeps its input open, streams changes, too', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'cortexflow-grpcurl-'));
    t.teardown(() => rmSync(directory, { recursive: true }));
    cpSync(EXAMPLE, directory, { recursive: true });
    const { inspection } = await serveExample(t, directory);
    const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
    const [, command = ''] = /^(\(echo .*\| grpcurl .* \\\n.*)$/mu.exec(readme) ?? [];
    const child = spawn(
      'sh',
      ['-c', command.replace('grpcurl', binary).replace('127.0.0.1:18001', inspection)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
        detached: true,
      },
    );
    t.teardown(() => process.kill(-child.pid!, 'SIGKILL'));
    let printed = '';
    child.stdout.on('data', (bytes: Buffer) => (printed += bytes.toString()));
    await until(
      'the first response',
      () => printed,
      (text) => text.includes('"nonce": "1"'),
    );
    const file = join(directory, 'endpoints-2.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace('ready: true', 'ready: false'));
    await until(
      'the change',
      () => printed,
      (text) => text.includes('NOT_READY'),
    );
    t.pass();
  });

  test('shows what each client accepted, and what it rejected in its own words', async (t) => {
    const { inspection, xds } = await serveExample(t);
    const typeUrl = 'type.googleapis.com/cortexflow.mesh.v1.Service';
    const statusOf = async (id: string) => {
      const request = JSON.stringify({ nodeMatchers: [{ nodeId: { exact: id } }] });
      const answer = await grpcurl(binary, '-d', request, inspection, `${CSDS}/FetchClientStatus`);
      return (JSON.parse(answer) as StatusAnswer).config[0]?.genericXdsConfigs[0];
    };
    const clients = { content: undefined, unhappy: { code: 3, message: 'hello: no such protocol' } };
    for (const [id, errorDetail] of Object.entries(clients)) {
      const stream = deltaStream(xds);
      t.teardown(() => stream.close());
      stream.send({ node: { id }, typeUrl, resourceNamesSubscribe: ['*'] });
      const { nonce } = await stream.next();
      stream.send({ typeUrl, responseNonce: nonce, ...(errorDetail && { errorDetail }) });
    }

    const accepted = await until(
      'the status of the accepted resource',
      () => statusOf('content'),
      isAnswered,
    );
    t.like(accepted, { typeUrl, name: 'demo/hello', clientStatus: 'ACKED' });
    const rejected = await until(
      'the status of the rejected resource',
      () => statusOf('unhappy'),
      isAnswered,
    );
    t.like(rejected, { typeUrl, name: 'demo/hello', clientStatus: 'NACKED' });
    t.regex(rejected!.errorState!.details, /hello: no such protocol/);
  });
}

interface StatusAnswer {
  readonly config: readonly { readonly genericXdsConfigs: readonly ResourceStatus[] }[];
}

interface ResourceStatus {
  readonly clientStatus: string;
  readonly errorState?: { readonly details: string };
}

interface DeltaAnswer {
  readonly resources: readonly { readonly resource: Readonly<Record<string, unknown>> }[];
}

function isAnswered(resource: ResourceStatus | undefined): boolean {
  return resource !== undefined && resource.clientStatus !== 'REQUESTED';
}

/** A control plane as people run it, on the example's folder, and where its ports are. */
async function serveExample(
  t: ExecutionContext,
  directory = EXAMPLE,
): Promise<{ inspection: string; xds: string }> {
  const controlPlane = startControlPlane(t, {
    CORTEXFLOW_DIRECTORY: directory,
  });
  const { inspection, xds } = await controlPlane.serving();
  return { inspection: String(inspection), xds: String(xds) };
}
