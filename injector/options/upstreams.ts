import { isIP } from 'node:net';
import { parseAddress } from '../../process/environment.ts';
import { hostPort } from '../../process/listen.ts';
import { PORTS } from '../../wire/pod.ts';
import { excerpt, listItems } from './excerpt.ts';
import { misread, read, readEach, type Reading } from './reading.ts';

/** A local address whose connections, or datagrams, go to a Service, as the sidecar's bootstrap has it. */
export interface Upstream {
  readonly listen: string;
  readonly port: number;
  readonly protocol: Protocol;
  /** name.namespace:port, with /udp after it where it carries datagrams */
  readonly service: string;
}

type Protocol = 'tcp' | 'udp';

const ADVICE = 'write listen=service, such as 127.0.0.1:8080=hello.demo:80 or 127.0.0.1:5300=dns.demo:53/udp';

const CONTRADICTION =
  'listens for one protocol and leads to another: write the same after both, or after one of them';

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const SERVICE = new RegExp(`^${LABEL}\\.${LABEL}(?:\\.svc(?:\\.cluster\\.local)?)?:(?<port>\\d{1,5})$`, 'u');

/** What every pod can listen on: loopback, and all of its addresses. */
const LOCAL = /^(?:127\.[\d.]+|::1|0\.0\.0\.0|::)$/u;

/** All of them stand in one environment variable of the pod, and each is a listener of its sidecar. */
const MOST_UPSTREAMS = 100;

/** `127.0.0.1:8080=hello.demo:80`, several of them with commas between. */
export function readUpstreams(value: string): Reading<Upstream[]> {
  const items = listItems(value);
  if (items.length > MOST_UPSTREAMS) {
    return misread(`has ${items.length} upstreams: a pod has at most ${MOST_UPSTREAMS}, leave some out`);
  }
  const upstreams = readEach(items, readUpstream);
  if (!upstreams.ok) return upstreams;
  for (const [index, upstream] of upstreams.value.entries()) {
    const other = upstreams.value.slice(0, index).find((earlier) => meet(earlier, upstream));
    if (other !== undefined) return misread(clash(other, upstream));
  }
  return upstreams;
}

/** As the sidecar judges it: who listens on all addresses takes the port on each of them. */
function meet(a: Upstream, b: Upstream): boolean {
  if (a.port !== b.port || a.protocol !== b.protocol) return false;
  return a.listen === b.listen || isWildcard(a.listen) || isWildcard(b.listen);
}

function isWildcard(listen: string): boolean {
  return listen.startsWith('0.0.0.0:') || listen.startsWith('[::]:');
}

function clash(a: Upstream, b: Upstream): string {
  const where = a.listen === b.listen ? `${a.listen} twice` : `${a.listen} and ${b.listen}, which meet`;
  return `listens on ${where}: give each upstream its own port`;
}

function readUpstream(item: string): Reading<Upstream> {
  const [before = '', after, ...rest] = item.split('=');
  if (after === undefined || rest.length > 0) return misread(`${excerpt(item)} is no upstream: ${ADVICE}`);
  const [listen, service] = [withProtocol(before.trim()), withProtocol(after.trim())];
  if (!listen.ok) return listen;
  if (!service.ok) return service;
  const address = readListen(listen.value.rest);
  if (!address.ok) return address;
  const target = readService(service.value.rest);
  if (!target.ok) return target;
  const protocol = agreed(listen.value.protocol, service.value.protocol);
  if (protocol === undefined) return misread(`${excerpt(item)} ${CONTRADICTION}`);
  return read({ ...address.value, protocol, service: serviceAs(protocol, target.value) });
}

/** As the sidecar's bootstrap has it, which takes what says nothing for TCP. */
function serviceAs(protocol: Protocol, service: string): string {
  return protocol === 'udp' ? `${service}/udp` : service;
}

interface WithProtocol {
  readonly rest: string;
  readonly protocol: Protocol | undefined;
}

function withProtocol(text: string): Reading<WithProtocol> {
  const slash = text.lastIndexOf('/');
  if (slash === -1) return read({ rest: text, protocol: undefined });
  const protocol = text.slice(slash + 1);
  if (protocol === 'tcp' || protocol === 'udp') return read({ rest: text.slice(0, slash), protocol });
  return misread(
    `${excerpt(text)} asks for ${excerpt(protocol)}: upstreams carry /tcp, which may be left out, and /udp`,
  );
}

/** Undefined where both say something and not the same. */
function agreed(a: Protocol | undefined, b: Protocol | undefined): Protocol | undefined {
  if (a !== undefined && b !== undefined && a !== b) return undefined;
  return a ?? b ?? 'tcp';
}

function readListen(text: string): Reading<Pick<Upstream, 'listen' | 'port'>> {
  const address = parseAddress(text);
  const host = address?.host === 'localhost' ? '127.0.0.1' : (address?.host ?? '');
  if (address === undefined || isIP(host) === 0) {
    return misread(
      `cannot listen on ${excerpt(text)}: give an IP address and a port, such as 127.0.0.1:8080`,
    );
  }
  if (!LOCAL.test(host)) {
    return misread(
      `cannot listen on ${excerpt(text)}, which no pod has before it is made: give an address of loopback, such ` +
        'as 127.0.0.1:8080 or [::1]:8080, or all of them, 0.0.0.0:8080',
    );
  }
  const wrong = wrongPort(address.port);
  return wrong === undefined
    ? read({ listen: hostPort(host, address.port), port: address.port })
    : misread(wrong);
}

function wrongPort(port: number): string | undefined {
  if (port === 0) return 'listens on port 0: choose the port that the application connects to';
  return port >= PORTS.first && port <= PORTS.last
    ? `listens on port ${port}, which is the proxy's own, like all from ${PORTS.first} to ${PORTS.last}: choose another`
    : undefined;
}

function readService(text: string): Reading<string> {
  const { port } = SERVICE.exec(text)?.groups ?? {};
  if (port === undefined || Number(port) < 1 || Number(port) > 65_535) {
    return misread(`${excerpt(text)} is no Service: write name.namespace:port, such as hello.demo:80`);
  }
  return read(text);
}
