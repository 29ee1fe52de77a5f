import test from 'ava';
import { parse } from 'yaml';
import { identify } from './object.ts';
import type { Parsed } from './parsed.ts';
import type { Service } from './service.ts';
import { parseService } from './service.ts';

function read(spec: string, name = 'hello'): Parsed<Service> {
  const object: unknown = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'demo' },
    spec: parse(spec) as unknown,
  };
  const identified = identify(object);
  if (identified.outcome !== 'identified' || identified.identity.kind !== 'Service') {
    throw new Error('the fixture is no Service');
  }
  return parseService(object, identified.identity);
}

const PLAIN: Service = {
  namespace: 'demo',
  name: 'hello',
  type: 'cluster-ip',
  clusterIps: [],
  ipFamilies: ['ipv4', 'ipv6'],
  externalName: '',
  ports: [{ name: '', port: 80, protocol: 'tcp', appProtocol: '' }],
  affinityTimeoutSeconds: undefined,
  trafficDistribution: 'cluster-wide',
  internalTrafficPolicy: 'cluster',
};

const MEANINGS: Readonly<Record<string, { spec: string; means: Partial<Service>; warns?: string[] }>> = {
  'one unnamed port, and no address where nobody allocated one': { spec: 'ports: [{port: 80}]', means: {} },
  'named and numeric target ports are resolved in slices and change nothing here': {
    spec: `
      ports:
        - {name: web, port: 80, targetPort: http, appProtocol: kubernetes.io/h2c, nodePort: 30080}
        - {name: dns, port: 53, targetPort: 5353, protocol: UDP}
        - {name: dns-tcp, port: 53, protocol: TCP}`,
    means: {
      ports: [
        { name: 'web', port: 80, protocol: 'tcp', appProtocol: 'kubernetes.io/h2c' },
        { name: 'dns', port: 53, protocol: 'udp', appProtocol: '' },
        { name: 'dns-tcp', port: 53, protocol: 'tcp', appProtocol: '' },
      ],
    },
  },
  'SCTP ports are left out with a warning': {
    spec: 'ports: [{name: web, port: 80}, {name: tel, port: 80, protocol: SCTP}]',
    means: { ports: [{ name: 'web', port: 80, protocol: 'tcp', appProtocol: '' }] },
    warns: ['spec.ports[1].protocol is "SCTP": the mesh carries TCP and UDP; this port is left out'],
  },
  'one virtual address': {
    spec: '{clusterIP: 10.96.0.7, ports: [{port: 80}]}',
    means: { clusterIps: ['10.96.0.7'], ipFamilies: ['ipv4'] },
  },
  'dual-stack, the primary family first, addresses in one form': {
    spec: '{clusterIP: "FD00::0:7", clusterIPs: ["FD00::0:7", 10.96.0.7], ipFamilies: [IPv6, IPv4], ports: [{port: 80}]}',
    means: { clusterIps: ['fd00::7', '10.96.0.7'], ipFamilies: ['ipv6', 'ipv4'] },
  },
  'headless, with its families as written': {
    spec: '{clusterIP: None, ipFamilies: [IPv6], ports: [{port: 80}]}',
    means: { type: 'headless', ipFamilies: ['ipv6'] },
  },
  'headless without ports': { spec: '{clusterIPs: [None]}', means: { type: 'headless', ports: [] } },
  'NodePort is seen from inside as ClusterIP': {
    spec: '{type: NodePort, clusterIP: 10.96.0.8, ports: [{port: 80, nodePort: 30001}]}',
    means: { clusterIps: ['10.96.0.8'], ipFamilies: ['ipv4'] },
  },
  'ExternalName has neither addresses nor families, and needs no ports': {
    spec: '{type: ExternalName, externalName: db.example.com.}',
    means: { type: 'external-name', externalName: 'db.example.com', ipFamilies: [], ports: [] },
  },
  'an ExternalName whose whole length is limited and no part of it': {
    spec: `{type: ExternalName, externalName: ${'a'.repeat(251)}.b}`,
    means: { type: 'external-name', externalName: `${'a'.repeat(251)}.b`, ipFamilies: [], ports: [] },
  },
  'session affinity lasts three hours unless it says otherwise': {
    spec: '{sessionAffinity: ClientIP, ports: [{port: 80}]}',
    means: { affinityTimeoutSeconds: 10_800 },
  },
  'session affinity for as long as it says': {
    spec: '{sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 86400}}, ports: [{port: 80}]}',
    means: { affinityTimeoutSeconds: 86_400 },
  },
  'a timeout without affinity means nothing': {
    spec: '{sessionAffinity: None, sessionAffinityConfig: {clientIP: {timeoutSeconds: 5}}, ports: [{port: 80}]}',
    means: {},
  },
  'PreferClose is PreferSameZone': {
    spec: '{trafficDistribution: PreferClose, ports: [{port: 80}]}',
    means: { trafficDistribution: 'prefer-same-zone' },
  },
  PreferSameZone: {
    spec: '{trafficDistribution: PreferSameZone, ports: [{port: 80}]}',
    means: { trafficDistribution: 'prefer-same-zone' },
  },
  PreferSameNode: {
    spec: '{trafficDistribution: PreferSameNode, ports: [{port: 80}]}',
    means: { trafficDistribution: 'prefer-same-node' },
  },
  'a preference from a newer Kubernetes is only a preference': {
    spec: '{trafficDistribution: PreferSamePlanet, ports: [{port: 80}]}',
    means: {},
    warns: [
      'spec.trafficDistribution is "PreferSamePlanet": use PreferSameZone or PreferSameNode; traffic is spread over all zones',
    ],
  },
  internalTrafficPolicy: {
    spec: '{internalTrafficPolicy: Local, ports: [{port: 80}]}',
    means: { internalTrafficPolicy: 'local' },
  },
  'the empty string is absent where a word is expected': {
    spec: '{type: "", clusterIP: "", sessionAffinity: "", internalTrafficPolicy: "", trafficDistribution: "", ports: [{port: 80, protocol: ""}]}',
    means: {},
  },
  'null is the same as absent, and unknown fields are left alone': {
    spec: '{type: null, clusterIP: null, ipFamilies: null, selector: {app: x}, new: 1, ports: [{port: 80, name: null}]}',
    means: {},
  },
};

for (const [title, { spec, means, warns }] of Object.entries(MEANINGS)) {
  test(title, (t) => {
    t.deepEqual(read(spec), { outcome: 'accepted', value: { ...PLAIN, ...means }, warnings: warns ?? [] });
  });
}

const MISTAKES: Readonly<Record<string, { spec: string; says: string[] }>> = {
  'nothing described': {
    spec: 'null',
    says: ['spec is missing: describe the Service here', 'spec.ports is missing: list at least one port'],
  },
  'not an object': {
    spec: '[]',
    says: ['spec is a list of 0: use an object', 'spec.ports is missing: list at least one port'],
  },
  'a port out of range': {
    spec: 'ports: [{port: 70000}]',
    says: ['spec.ports[0].port is 70000: use a number from 1 to 65535'],
  },
  'every problem at once': {
    spec: '{type: Custer, clusterIP: ten, sessionAffinity: Cookie, ports: [{port: "80"}, {name: Web!, port: 0.5, protocol: tcp}]}',
    says: [
      'spec.type is "Custer": use ClusterIP, NodePort, LoadBalancer or ExternalName',
      'spec.clusterIP is "ten": use an IP address, None for a headless Service, or leave it out',
      'spec.ports[0].name is missing: name every port where a Service has several',
      'spec.ports[0].port is "80": use a number from 1 to 65535',
      'spec.ports[1].name is "Web!": use up to 63 lower-case letters, digits and dashes, with a letter or digit at both ends',
      'spec.ports[1].port is 0.5: use a number from 1 to 65535',
      'spec.ports[1].protocol is "tcp": use TCP or UDP',
      'spec.sessionAffinity is "Cookie": use None or ClientIP',
    ],
  },
  'two ports of one name, and of one number': {
    spec: 'ports: [{name: a, port: 1}, {name: a, port: 2}, {name: c, port: 1}]',
    says: [
      'spec.ports[1].name is "a": two ports have this name: give each its own',
      'spec.ports[2].port is 1: two ports have this number and protocol: remove one',
    ],
  },
  'ExternalName without a name': {
    spec: '{type: ExternalName}',
    says: [
      'spec.externalName is missing: name the DNS name that the Service stands for, e.g. db.example.com',
    ],
  },
  'ExternalName that is too long': {
    spec: `{type: ExternalName, externalName: ${'a'.repeat(252)}.b}`,
    says: [
      `spec.externalName is "${'a'.repeat(59)}…: name the DNS name that the Service stands for, e.g. db.example.com`,
    ],
  },
  'a headless NodePort': {
    spec: '{type: NodePort, clusterIP: None, ports: [{port: 1}]}',
    says: ['spec.type is "NodePort": a Service with clusterIP None must be of type ClusterIP'],
  },
  'addresses that contradict': {
    spec: '{clusterIP: 10.0.0.1, clusterIPs: [10.0.0.2, 10.0.0.3], ipFamilies: [IPv6], ports: [{port: 1}]}',
    says: [
      'spec.clusterIP is "10.0.0.1": repeat the first of spec.clusterIPs, or leave it out',
      'spec.clusterIPs is a list of 2: give at most one IPv4 and one IPv6 address',
      'spec.ipFamilies[0] is "IPv6": name the families in the order of spec.clusterIPs',
    ],
  },
  'an affinity of two days': {
    spec: '{sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 172800}}, ports: [{port: 1}]}',
    says: ['spec.sessionAffinityConfig.clientIP.timeoutSeconds is 172800: use a number from 1 to 86400'],
  },
};

for (const [title, { spec, says }] of Object.entries(MISTAKES)) {
  test(`rejected: ${title}`, (t) => {
    t.like(read(spec), { outcome: 'rejected', problems: says, certain: { type: 'other' } });
  });
}

test('rejected: a name that could not be part of a resource name', (t) => {
  t.deepEqual(read('ports: [{port: 1}]', 'a/b'), {
    outcome: 'rejected',
    problems: [
      'metadata.name is "a/b": use up to 63 lower-case letters, digits and dashes, with a letter or digit at both ends',
    ],
  });
});

test('a thousand problems are told in a few sentences', (t) => {
  const result = read(
    `ports: [${Array.from({ length: 1000 }, (_, port) => `{name: p${port}, port: 0.${port}1}`).join(',')}]`,
  );
  t.is(result.outcome, 'rejected');
  if (result.outcome !== 'rejected') return;
  t.is(result.problems.length, 21);
  t.is(result.problems.at(-1), 'and 980 more problems');
});

function manyPorts(count: number): string {
  const ports = Array.from({ length: count }, (_, port) => `{name: p${port}, port: ${port + 1}}`);
  return `ports: [${ports.join(',')}]`;
}

function longWord(length: number): string {
  return `ports: [{port: 80, appProtocol: ${'a'.repeat(length)}}]`;
}

test('a Service may have a thousand ports, and words of any length that Kubernetes takes', (t) => {
  const most = read(manyPorts(1000));
  t.is(most.outcome === 'accepted' && most.value.ports.length, 1000);
  t.like(read(manyPorts(1001)), {
    outcome: 'rejected',
    problems: ['spec.ports is a list of 1001: use at most 1000 entries'],
  });

  t.is(read(longWord(512)).outcome, 'accepted');
  const tooLong = read(longWord(513));
  t.regex(String(tooLong.outcome === 'rejected' && tooLong.problems), /appProtocol is "a+…: use at most 512/);
});
