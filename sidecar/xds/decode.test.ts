import type { MessageInitShape, UnknownEnum } from '@bufbuild/protobuf';
import { create, toBinary } from '@bufbuild/protobuf';
import test from 'ava';
import * as fc from 'fast-check';
import { EndpointsSchema, Health } from '../../gen/cortexflow/mesh/v1/endpoints_pb.ts';
import { IpFamily, Protocol } from '../../gen/cortexflow/mesh/v1/network_pb.ts';
import { NodeSchema } from '../../gen/cortexflow/mesh/v1/node_pb.ts';
import {
  InternalTrafficPolicy,
  ServiceSchema,
  ServiceType,
  TrafficDistribution,
} from '../../gen/cortexflow/mesh/v1/service_pb.ts';
import type { Decoded } from './decode.ts';
import { decodeEndpoints, decodeNode, decodeService, MAX_RESOURCE_BYTES } from './decode.ts';

/** A value that some later version of the protocol gives a meaning to. */
const future = 99 as UnknownEnum;

const hello = {
  namespace: 'demo',
  name: 'hello',
  type: ServiceType.CLUSTER_IP,
  clusterIps: ['10.96.0.1'],
  ipFamilies: [IpFamily.IPV4],
  ports: [{ name: 'web', port: 80, protocol: Protocol.TCP, appProtocol: 'https' }],
} satisfies MessageInitShape<typeof ServiceSchema>;

const slice = {
  namespace: 'demo',
  service: 'hello',
  slice: 's1',
  ipFamily: IpFamily.IPV4,
  ports: [{ name: 'web', port: 8080, protocol: Protocol.TCP }],
  endpoints: [{ address: '10.0.0.1', health: Health.READY }],
} satisfies MessageInitShape<typeof EndpointsSchema>;

function service(fields: MessageInitShape<typeof ServiceSchema> = {}) {
  const bytes = toBinary(ServiceSchema, create(ServiceSchema, { ...hello, ...fields }));
  return decodeService('demo/hello', bytes);
}

function endpoints(fields: MessageInitShape<typeof EndpointsSchema> = {}) {
  const bytes = toBinary(EndpointsSchema, create(EndpointsSchema, { ...slice, ...fields }));
  return decodeEndpoints('demo/hello/s1', bytes);
}

function nodeBytes(fields: MessageInitShape<typeof NodeSchema>): Uint8Array {
  return toBinary(NodeSchema, create(NodeSchema, fields));
}

function reason(decoded: Decoded<unknown>): string {
  return decoded.ok ? 'taken' : decoded.reason;
}

test('a Service comes through whole', (t) => {
  t.deepEqual(
    service({
      clusterIps: ['10.96.0.1', 'FD00:0:0::1'],
      ipFamilies: [IpFamily.IPV4, IpFamily.IPV6],
      sessionAffinity: { clientIpTimeout: { seconds: 90n, nanos: 500_000_000 } },
      trafficDistribution: TrafficDistribution.PREFER_SAME_NODE,
      internalTrafficPolicy: InternalTrafficPolicy.LOCAL,
    }),
    {
      ok: true,
      value: {
        key: 'demo/hello',
        namespace: 'demo',
        name: 'hello',
        type: 'cluster-ip',
        clusterIps: ['10.96.0.1', 'fd00::1'],
        ipFamilies: ['ipv4', 'ipv6'],
        externalName: undefined,
        ports: [{ name: 'web', port: 80, protocol: 'tcp', appProtocol: 'https' }],
        affinityTimeoutMs: 90_500,
        trafficDistribution: 'prefer-same-node',
        internalTrafficPolicy: 'local',
      },
    },
  );
});

test('a slice comes through whole', (t) => {
  const decoded = endpoints({
    endpoints: [
      {
        address: '10.0.0.1',
        health: Health.TERMINATING,
        hostname: 'h',
        node: 'n',
        zone: 'z',
        zoneHints: ['z'],
        nodeHints: ['n'],
        pod: 'p',
        serviceAccount: 'sa',
        inMesh: true,
      },
    ],
  });
  t.deepEqual(decoded, {
    ok: true,
    value: {
      key: 'demo/hello/s1',
      service: 'demo/hello',
      family: 'ipv4',
      ports: [{ name: 'web', port: 8080, protocol: 'tcp' }],
      endpoints: [
        {
          address: '10.0.0.1',
          health: 'terminating',
          hostname: 'h',
          node: 'n',
          zone: 'z',
          zoneHints: ['z'],
          nodeHints: ['n'],
          pod: 'p',
          serviceAccount: 'sa',
          inMesh: true,
        },
      ],
    },
  });
});

test('a Node comes through whole, and only under its own name', (t) => {
  const nodeA = nodeBytes({ name: 'node-a', zone: 'eu-1a' });
  t.deepEqual(decodeNode('node-a', nodeA), { ok: true, value: { name: 'node-a', zone: 'eu-1a' } });
  t.deepEqual(decodeNode('node-a', nodeBytes({ name: 'node-a' })), {
    ok: true,
    value: { name: 'node-a', zone: '' },
  });
  t.is(reason(decodeNode('node-b', nodeA)), 'has the content of node-a');
  t.is(reason(decodeNode('*', nodeBytes({ name: '*' }))), 'has a name that Kubernetes would not allow');
  t.regex(reason(decodeNode('node-a', Buffer.from([0xff]))), /^cannot be parsed: /u);
});

test('what a newer control plane says is understood as far as is safe', (t) => {
  const newer = service({
    ipFamilies: [IpFamily.IPV4, future],
    ports: [...hello.ports, { name: 'sctp', port: 81, protocol: future }],
    trafficDistribution: future,
    internalTrafficPolicy: future,
    sessionAffinity: {},
  });
  t.like(newer, {
    value: {
      ipFamilies: ['ipv4'],
      ports: [{ port: 80 }],
      trafficDistribution: 'cluster-wide',
      internalTrafficPolicy: 'cluster',
      affinityTimeoutMs: 10_800_000,
    },
  });
  t.like(endpoints({ endpoints: [{ address: '10.0.0.1', health: future }] }), {
    value: { endpoints: [{ health: 'not-ready' }] },
  });
  const bytes = toBinary(ServiceSchema, create(ServiceSchema, hello));
  const withUnknownField = Buffer.concat([bytes, Buffer.from([0xfa, 0x3f, 0x02, 0x68, 0x69])]);
  t.true(decodeService('demo/hello', withUnknownField).ok);
});

test('of a Service of another proxy it is told that there is one', (t) => {
  const bytes = toBinary(
    ServiceSchema,
    create(ServiceSchema, { namespace: 'demo', name: 'hello', type: ServiceType.OTHER }),
  );
  t.like(decodeService('demo/hello', bytes), { value: { type: 'other', clusterIps: [], ports: [] } });
});

test('what cannot be acted on is rejected with the reason', (t) => {
  t.is(reason(service({ name: 'other' })), 'has the content of demo/other');
  t.is(reason(service({ type: future })), 'has the type 99, which this sidecar does not know');
  t.is(
    reason(service({ clusterIps: ['10.0.0.256'] })),
    'has the address "10.0.0.256", which is no IP address',
  );
  t.is(
    reason(service({ ports: [{ port: 0, protocol: Protocol.TCP }] })),
    'has the port 0, outside 1 to 65535',
  );
  t.is(reason(service({ ports: [{ port: 65_536 }] })), 'has the port 65536, outside 1 to 65535');
  t.is(reason(service({ type: ServiceType.EXTERNAL_NAME })), 'is an ExternalName without a name');
  t.regex(
    reason(service({ sessionAffinity: { clientIpTimeout: { seconds: -1n } } })),
    /timeout of -1000 ms/u,
  );
  t.is(reason(endpoints({ slice: 's2' })), 'has the content of demo/hello/s2');
  t.is(
    reason(endpoints({ ipFamily: future })),
    'has the address family 99, which this sidecar does not know',
  );
  t.is(
    reason(endpoints({ endpoints: [{ address: 'fd00::1', health: Health.READY }] })),
    'has the address fd00::1 in a slice of ipv4',
  );
  t.regex(reason(endpoints({ endpoints: [{ address: 'hello' }] })), /which is no IP address/u);
  const crowd = Array.from({ length: 1001 }, (_, index) => ({
    address: `10.0.${index >> 8}.${index & 255}`,
  }));
  t.is(reason(endpoints({ endpoints: crowd })), 'has 1001 endpoints, more than 1000');
  t.regex(reason(decodeService('demo/hello', Buffer.from([0xff]))), /^cannot be parsed: /u);
  t.regex(reason(decodeService('demo/hello', new Uint8Array(MAX_RESOURCE_BYTES + 1))), /^has 1572865 bytes/u);
  t.is(reason(decodeService('demo/hello', new Uint8Array())), 'has the content of /');
});

test('names that would be taken for something else are rejected', (t) => {
  const strange = toBinary(ServiceSchema, create(ServiceSchema, { ...hello, name: '*' }));
  t.is(reason(decodeService('demo/*', strange)), 'has a name that Kubernetes would not allow');
});

test('no bytes make it throw, and what is taken is named as asked', (t) => {
  const sound = toBinary(EndpointsSchema, create(EndpointsSchema, slice));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { maxLength: 4 }),
      fc.nat(sound.length),
      (edits, length) => {
        const bytes = sound.slice(0, length);
        for (const [at, value] of edits) {
          if (at < length) {
            bytes[at] = value;
          }
        }
        const decoded = decodeEndpoints('demo/hello/s1', bytes);
        t.true(!decoded.ok || decoded.value.key === 'demo/hello/s1');
      },
    ),
  );
});
