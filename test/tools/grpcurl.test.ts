import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { start } from '../system/programs.ts';
import { findGrpcurl, grpcurl, INSTALL_GRPCURL } from './grpcurl.ts';

// A stranger with grpcurl and no proto file can see what the control plane serves, and to whom.

const binary = findGrpcurl();
const ADS = 'envoy.service.discovery.v3.AggregatedDiscoveryService';

if (binary === undefined) {
  const title = `grpcurl is not installed, so its tests are skipped: ${INSTALL_GRPCURL}, then npm run test:tools`;
  // Whoever runs CI means all tests.
  if (process.env['CI'] === 'true') test(title, (t) => t.fail());
  else test.skip(title, () => {});
} else {
  test('lists and describes services and our own kinds, by reflection', async (t) => {
    const { address } = await serveExample(t);
    const services = (await grpcurl(binary, address, 'list')).trim().split('\n');
    t.true(services.includes(ADS));
    t.true(services.includes('grpc.health.v1.Health'));
    const described = await grpcurl(binary, address, 'describe', 'cortexflow.mesh.v1.Service');
    t.regex(described, /repeated \.cortexflow\.mesh\.v1\.ServicePort ports = 7;/);
  });

  test('asks for health', async (t) => {
    const { address } = await serveExample(t);
    t.deepEqual(JSON.parse(await grpcurl(binary, address, 'grpc.health.v1.Health/Check')), {
      status: 'SERVING',
    });
  });

  test('streams Services and the Endpoints of one, readable', async (t) => {
    const { address } = await serveExample(t);
    const resources = async (kind: string, name: string) => {
      const request = {
        typeUrl: `type.googleapis.com/cortexflow.mesh.v1.${kind}`,
        resourceNamesSubscribe: [name],
      };
      const call = ['-d', JSON.stringify(request), address, `${ADS}/DeltaAggregatedResources`];
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
}

interface DeltaAnswer {
  readonly resources: readonly { readonly resource: Readonly<Record<string, unknown>> }[];
}

/** A control plane as people run it, on the example's folder; the address is that of its inspection port. */
async function serveExample(t: ExecutionContext): Promise<{ address: string }> {
  const controlPlane = start(t, {
    file: 'control-plane/main.ts',
    environment: {
      CORTEXFLOW_DIRECTORY: join(import.meta.dirname, '../../examples/hello'),
      CORTEXFLOW_XDS_ADDRESS: '127.0.0.1:0',
      CORTEXFLOW_INSPECTION_ADDRESS: '127.0.0.1:0',
      CORTEXFLOW_ADMIN_ADDRESS: '127.0.0.1:0',
    },
  });
  const { inspection } = await controlPlane.serving();
  return { address: String(inspection) };
}
