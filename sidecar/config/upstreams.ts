import * as v from 'valibot';
import type { Address } from '../../process/environment.ts';
import { list, oneOf, received, section, text } from './fields.ts';
import { listenAddress } from './listen-address.ts';
import { policyClashes } from './policies.ts';

/** A local address whose connections, or datagrams, go to a Service. */
export interface Upstream {
  readonly listen: Address;
  /** `namespace/name`. */
  readonly service: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly balance: (typeof BALANCES)[number];
}

type Protocol = 'tcp' | 'udp';

/** `least-latency`: power of two choices over peak EWMA latency times load. */
const BALANCES = ['least-latency', 'round-robin', 'least-request', 'consistent-hash'] as const;

/** name.namespace[.svc[.cluster.local]]:port[/protocol], name and namespace as DNS labels (RFC 1123). */
const SERVICE =
  /^(?<name>[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\.(?<namespace>[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.svc(?:\.(?<domain>[a-z0-9.-]+))?)?:(?<port>\d{1,5})$/u;

/** A text and, after a slash, a protocol. Undefined where that is neither TCP nor UDP. */
function withProtocol(
  input: string,
): { readonly rest: string; readonly protocol: Protocol | undefined } | undefined {
  const slash = input.lastIndexOf('/');
  if (slash === -1) return { rest: input, protocol: undefined };
  const protocol = input.slice(slash + 1);
  return protocol === 'tcp' || protocol === 'udp' ? { rest: input.slice(0, slash), protocol } : undefined;
}

const LISTEN_EXAMPLES = '127.0.0.1:8080, [::1]:8080 or 127.0.0.1:5300/udp';

const listenWithProtocol = v.pipe(
  text,
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const { rest, protocol } = withProtocol(dataset.value) ?? { rest: '', protocol: undefined };
    const read = listenAddress(rest, LISTEN_EXAMPLES);
    if ('address' in read) return { ...read.address, protocol };
    addIssue({ message: `${read.mistake}, and is ${received(dataset.value)}` });
    return NEVER;
  }),
);

const serviceAddress = v.pipe(
  text,
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const { rest, protocol } = withProtocol(dataset.value) ?? { rest: '', protocol: undefined };
    const { name, namespace, domain, port } = SERVICE.exec(rest)?.groups ?? {};
    if (!(Number(port) >= 1 && Number(port) <= 65_535)) {
      addIssue({
        message: `must be name.namespace:port, such as hello.demo:80 or dns.demo:53/udp, and is ${received(dataset.value)}`,
      });
      return NEVER;
    }
    if ((domain ?? 'cluster.local') !== 'cluster.local') {
      addIssue({
        message: `names the cluster domain ${domain} (${received(dataset.value)}): leave it out, the mesh is one cluster`,
      });
      return NEVER;
    }
    return { service: `${namespace}/${name}`, port: Number(port), protocol };
  }),
);

/** The protocol may stand on either side, and is TCP where it stands on none. */
const upstream = v.pipe(
  section({
    listen: listenWithProtocol,
    service: serviceAddress,
    balance: v.optional(oneOf(BALANCES), 'least-latency'),
  }),
  v.check(
    ({ listen, service }) =>
      listen.protocol === undefined || service.protocol === undefined || listen.protocol === service.protocol,
    'listens for one protocol and leads to another: write the same after both, or after one of them',
  ),
  v.transform(({ listen, service, balance }): Upstream => {
    const protocol = listen.protocol ?? service.protocol ?? 'tcp';
    return {
      listen: { host: listen.host, port: listen.port },
      service: service.service,
      port: service.port,
      protocol,
      balance,
    };
  }),
);

export const UpstreamsSchema = v.pipe(
  list(upstream),
  v.check((upstreams) => {
    // Port 0 asks for a free one, another each time.
    const fixed = upstreams.filter(({ listen }) => listen.port !== 0);
    const claims = fixed.map(({ listen, protocol }) => `${listen.host} ${listen.port}/${protocol}`);
    return new Set(claims).size === fixed.length;
  }, 'listen on one address more than once: give each upstream its own'),
  v.check(
    (upstreams) => policyClashes(upstreams).length === 0,
    ({ input }) => policyClashes(input).join('; and '),
  ),
);
