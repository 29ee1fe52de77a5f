import { isIP } from 'node:net';
import * as v from 'valibot';
import { parseAddress } from '../../process/environment.ts';
import { isOwnServer } from '../dns/own-server.ts';
import { socketAddressOf } from '../net/socket-address.ts';
import { list, received, section, text, whole } from './fields.ts';
import { listenField } from './listen-address.ts';

const DNS_PORT = 53;

const upstream = v.pipe(
  text,
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const input = dataset.value;
    const address = isIP(input) === 0 ? parseAddress(input) : { host: input, port: DNS_PORT };
    if (address !== undefined && isIP(address.host) !== 0 && address.port > 0) return address;
    addIssue({
      message: `must be the IP address of a DNS server, such as 10.96.0.10:53 or [fd00::10]:53, and is ${received(input)}`,
    });
    return NEVER;
  }),
);

const domain = v.pipe(
  text,
  v.check(
    (input) => input.length < 200 && /^[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*\.?$/iu.test(input),
    ({ input }) => `must be a domain name, such as cluster.local, and is ${received(input)}`,
  ),
);

const fields = section({
  listen: v.optional(
    v.pipe(list(listenField('127.0.0.1:5053 or [::1]:5053')), v.minLength(1, 'must name an address')),
    ['127.0.0.1:5053', '[::1]:5053'],
  ),
  /** Whom to ask what the table does not know; the nameservers of /etc/resolv.conf where it is left out. */
  upstreams: v.optional(list(upstream)),
  /** That of the search list in /etc/resolv.conf where it is left out, or else cluster.local. */
  clusterDomain: v.optional(domain),
  /** What answers of others may take in memory. */
  cacheBytes: v.optional(whole(0, 1_073_741_824, 'number of bytes'), 4_194_304),
});

/** How the DNS proxy serves; what is left out is as the machine's own resolver has it. */
export const DnsSchema = v.pipe(
  fields,
  v.check(({ listen, upstreams = [] }) => {
    const listening = listen.map(socketAddressOf);
    return !upstreams.some((asked) => isOwnServer(socketAddressOf(asked), listening));
  }, 'has itself among its upstreams: name the DNS servers that know what it does not'),
);
