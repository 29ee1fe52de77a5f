/** A mesh with all that names can stand for, and what is asked of two who answer for it. */
import type { ExecutionContext } from 'ava';
import { digAll, type Digger, type Dug } from './dig.ts';

const MESH = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: demo }
spec: { clusterIP: 10.96.7.1, ports: [{ name: http, port: 80 }, { name: metrics, port: 9090 }, { name: dns, port: 80, protocol: UDP }] }
---
apiVersion: v1
kind: Service
metadata: { name: plain, namespace: demo }
spec: { clusterIP: 10.96.7.2, type: NodePort, ports: [{ port: 80 }, ] }
---
apiVersion: v1
kind: Service
metadata: { name: sctp, namespace: demo }
spec: { clusterIP: 10.96.7.3, ports: [{ name: signal, port: 80, protocol: SCTP }] }
---
apiVersion: v1
kind: Service
metadata: { name: pods, namespace: demo }
spec: { clusterIP: None, ports: [{ name: http, port: 80 }, { name: peer, port: 81 }] }
---
apiVersion: v1
kind: Service
metadata: { name: portless, namespace: demo }
spec: { clusterIP: None, selector: { app: none } }
---
apiVersion: v1
kind: Service
metadata: { name: nobody, namespace: demo }
spec: { clusterIP: None, ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: six, namespace: demo }
spec: { clusterIP: None, ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: inside, namespace: demo }
spec: { type: ExternalName, externalName: web.demo.svc.cluster.local }
---
apiVersion: v1
kind: Service
metadata: { name: nowhere, namespace: demo }
spec: { type: ExternalName, externalName: gone.demo.svc.cluster.local }
---
apiVersion: v1
kind: Service
metadata: { name: twice, namespace: demo }
spec: { type: ExternalName, externalName: inside.demo.svc.cluster.local }
---
apiVersion: v1
kind: Service
metadata: { name: outside, namespace: demo }
spec: { type: ExternalName, externalName: www.example.com }
---
apiVersion: v1
kind: Service
metadata: { name: missing, namespace: demo }
spec: { type: ExternalName, externalName: missing.example.com }
---
apiVersion: v1
kind: Service
metadata: { name: address, namespace: demo }
spec: { type: ExternalName, externalName: 10.1.2.3 }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: demo, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ name: http, port: 8080 }]
endpoints: [{ addresses: [10.1.0.1] }, { addresses: [10.1.0.2], hostname: second }]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: pods-1, namespace: demo, labels: { kubernetes.io/service-name: pods } }
addressType: IPv4
ports: [{ name: http, port: 8080 }, { name: peer, port: 8081 }]
endpoints:
  - { addresses: [10.2.0.1], hostname: pods-0 }
  - { addresses: [10.2.0.2], hostname: pods-1 }
  - { addresses: [10.2.0.3] }
  - { addresses: [10.2.0.4], conditions: { ready: false } }
  - { addresses: [10.2.0.5], hostname: leaving, conditions: { ready: false, serving: true, terminating: true } }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: pods-2, namespace: demo, labels: { kubernetes.io/service-name: pods } }
addressType: IPv6
ports: [{ name: http, port: 8080 }]
endpoints: [{ addresses: ['fd00::1'], hostname: pods-0 }, { addresses: ['fd00:0:0:5::'] }]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: portless-1, namespace: demo, labels: { kubernetes.io/service-name: portless } }
addressType: IPv4
endpoints: [{ addresses: [10.3.0.1], hostname: only }]
---
apiVersion: v1
kind: Service
metadata: { name: proxied, namespace: demo, labels: { service.kubernetes.io/service-proxy-name: another } }
spec: { ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: early, namespace: demo }
spec: { clusterIP: None, publishNotReadyAddresses: true, ports: [{ name: http, port: 80 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: early-1, namespace: demo, labels: { kubernetes.io/service-name: early } }
addressType: IPv4
ports: [{ name: http, port: 8080 }]
endpoints:
  - { addresses: [10.4.0.1], hostname: late, conditions: { ready: false } }
  - { addresses: [10.4.0.2], hostname: soon, conditions: { ready: true, serving: false } }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: six-1, namespace: demo, labels: { kubernetes.io/service-name: six } }
addressType: IPv6
ports: [{ name: http, port: 8080 }]
endpoints: [{ addresses: ['fd00::6'] }]
`;

const NAMESPACE = /\bdemo\b/gu;
export const ZONE = 'demo.svc.cluster.local';

/** Of these the table knows all there is to know. */
const KNOWN = [
  'web',
  'Web',
  'plain',
  'sctp',
  'pods',
  'portless',
  'nobody',
  'six',
  'gone',
  'gone.gone',
  'inside',
  'nowhere',
  'twice',
  'outside',
  'missing',
  'address',
  'early',
  '_http._tcp.web',
  '_HTTP._TCP.web',
  'http.tcp.web',
  '_dns._udp.web',
  '_http._udp.web',
  '_none._tcp.web',
  '_signal._tcp.sctp',
  '_http._tcp.pods',
  '_peer._tcp.pods',
  '_http._tcp.nobody',
  '_http._tcp.six',
  '_http._tcp.gone',
  '10-1-0-1.web',
  'second.web',
  '10-1-0-2.web',
  'pods-0.pods',
  '10-2-0-3.pods',
  '10-2-0-1.pods',
  '10-2-0-4.pods',
  'leaving.pods',
  'fd00-0-0-5--0.pods',
  'fd00--6.six',
  'only.portless',
  'late.early',
  'soon.early',
  'fd00--1.pods',
  'a.b.c.web',
  'web.demo.svc.cluster.local',
  'www.example.com',
  'example.com',
].map((name) => `${name}.${ZONE}`);
const KNOWN_ELSEWHERE = [
  'kubernetes.default.svc.cluster.local',
  '_https._tcp.kubernetes.default.svc.cluster.local',
  'example.com.svc.cluster.local',
];
const OTHERS = [
  `proxied.${ZONE}`,
  `_http._tcp.proxied.${ZONE}`,
  'www.example.com',
  'no.example.com',
  'cluster.local',
  'svc.cluster.local',
  ZONE,
  'none.svc.cluster.local',
  'example.com.cluster.local',
  '10-2-0-1.demo.pod.cluster.local',
  'dns-version.cluster.local',
];
const REVERSE = [
  '10.96.7.1',
  '10.96.7.2',
  '10.96.0.1',
  '10.96.200.200',
  '10.2.0.1',
  '10.1.0.2',
  'fd00::6',
  '192.0.2.1',
];
const TYPES = ['A', 'AAAA', 'CNAME', 'MX', 'TXT', 'HTTPS', 'PTR', 'SRV', 'NS', 'SOA'];
/** All but the last three. */
const TYPES_OF_TABLE = 7;

function lowerCase(lines: readonly string[]): readonly string[] {
  return lines.map((line) => line.toLowerCase());
}

/** CoreDNS writes the second in which this replica last noticed any change of the cluster: two replicas differ. */
function withoutSerial(line: string): string {
  return line.replace(/(?<= soa \S+ \S+ )\d+(?= )/iu, '…');
}

/** All that has to be the same. */
export function essence(
  dug: Pick<Dug, 'status' | 'answer' | 'authority' | 'additional' | 'flags'> | undefined,
) {
  if (dug === undefined) return undefined;
  const { status, additional, flags } = dug;
  const [answer, authority] = [dug.answer, dug.authority].map((lines) => lines.map(withoutSerial));
  // What was kept of an earlier answer has the letters of who asked first, outside of the question.
  return { status, answer: lowerCase(answer!), authority, additional, isCut: flags.includes('tc') };
}

/** In dig's words. */
export type DigQuestion = readonly string[];

const QUESTIONS: readonly DigQuestion[] = [
  ...[...KNOWN, ...KNOWN_ELSEWHERE, ...OTHERS].flatMap((name) => TYPES.map((type) => [name, type])),
  ...REVERSE.map((address) => ['-x', address]),
];

/** How many of the questions about the mesh the table of ours has to know, once compare() has asked them. */
export const TABLE_QUESTIONS = 2 * (KNOWN.length + KNOWN_ELSEWHERE.length) * TYPES_OF_TABLE;

/** The mesh, in another namespace. */
export function meshIn(namespace: string): string {
  return MESH.replaceAll(NAMESPACE, namespace);
}

/** What is asked about the mesh that is in this namespace. */
export function questionsIn(namespace: string): readonly DigQuestion[] {
  return QUESTIONS.map((question) => question.map((word) => word.replaceAll(NAMESPACE, namespace)));
}

export interface Compared {
  readonly theirs: Digger;
  readonly ours: Digger;
  readonly questions: readonly DigQuestion[];
}

/** Whether both answer all of it alike, without EDNS and with it. */
export async function compare(t: ExecutionContext, { theirs, ours, questions }: Compared): Promise<void> {
  for (const way of [['+noedns'], ['+bufsize=1232', '+nocookie', '+dnssec']]) {
    const asked = questions.map((question) => [...question, ...way]);
    const [expected, found] = [await digAll(theirs, asked), await digAll(ours, asked)];
    for (const [index, question] of asked.entries()) {
      t.deepEqual(essence(found[index]), essence(expected[index]), question.join(' '));
      const longest = Math.max(0, ...(expected[index]?.ttls ?? []));
      t.true(
        found[index]?.ttls.every((ttl) => ttl <= longest),
        `${question.join(' ')}: ${longest} s`,
      );
    }
  }
}
