import test from 'ava';
import { readOptions } from './options.ts';

function mistakeOf(name: string, value: string): string | undefined {
  const { mistakes } = readOptions({ [`cortexflow.io/${name}`]: value });
  return mistakes[0];
}

test('a pod without annotations of ours asks for nothing', (t) => {
  t.deepEqual(readOptions(undefined).options, {});
  t.is(readOptions({ 'example.com/a': 'b' }), readOptions(null));
});

test('every annotation, well written', (t) => {
  const { options, mistakes, warnings } = readOptions({
    'cortexflow.io/exclude-inbound-ports': '22, 8000 - 8010,',
    'cortexflow.io/exclude-inbound-cidrs': '10.0.0.0/8',
    'cortexflow.io/exclude-outbound-ports': '0443',
    'cortexflow.io/exclude-outbound-cidrs': 'fd00::/8, 1.2.3.4, ::ffff:10.0.0.0/104, fd00::1',
    'cortexflow.io/upstreams':
      'localhost:8080=hello.demo:80,[::1]:8081/tcp=db.data.svc.cluster.local:5432/tcp,' +
      '127.0.0.1:8080/udp=dns.demo:53, 127.0.0.1:5301=dns.demo:53/udp ,127.0.0.1:5302/udp=dns.demo:53/udp',
    'cortexflow.io/deliver-messages-to': '7000/messages?v=1',
    'cortexflow.io/log-level': 'debug',
    'cortexflow.io/proxy-image': 'localhost:5000/sidecar:0.1.0',
    'cortexflow.io/proxy-cpu-request': '0.1',
    'cortexflow.io/proxy-cpu-limit': '100m',
    'cortexflow.io/proxy-memory-request': '64Mi',
    'cortexflow.io/proxy-memory-limit': '1e8',
    'cortexflow.io/require-control-plane': 'true',
    'cortexflow.io/intercept-dns': 'false',
  });
  t.deepEqual([mistakes, warnings], [[], []]);
  t.deepEqual(options.excludeInboundPorts, ['22', '8000-8010']);
  t.deepEqual(options.excludeInboundCidrs, ['10.0.0.0/8']);
  t.deepEqual(options.excludeOutboundPorts, ['443']);
  t.deepEqual(options.excludeOutboundCidrs, ['fd00::/8', '1.2.3.4/32', '::ffff:10.0.0.0/104', 'fd00::1/128']);
  t.deepEqual(options.upstreams, [
    { listen: '127.0.0.1:8080', port: 8080, protocol: 'tcp', service: 'hello.demo:80' },
    { listen: '[::1]:8081', port: 8081, protocol: 'tcp', service: 'db.data.svc.cluster.local:5432' },
    { listen: '127.0.0.1:8080', port: 8080, protocol: 'udp', service: 'dns.demo:53/udp' },
    { listen: '127.0.0.1:5301', port: 5301, protocol: 'udp', service: 'dns.demo:53/udp' },
    { listen: '127.0.0.1:5302', port: 5302, protocol: 'udp', service: 'dns.demo:53/udp' },
  ]);
  t.is(options.deliverMessagesTo, 'http://127.0.0.1:7000/messages?v=1');
  t.is(options.logLevel, 'debug');
  t.is(options.image, 'localhost:5000/sidecar:0.1.0');
  t.is(options.cpuRequest?.nanos, options.cpuLimit?.nanos);
  t.is(options.memoryLimit?.nanos, 10n ** 17n);
  t.true(options.requireControlPlane);
  t.false(options.interceptDns);
});

test('what is empty, as templates leave it, is not set', (t) => {
  t.deepEqual(readOptions({ 'cortexflow.io/log-level': ' ' }), { options: {}, mistakes: [], warnings: [] });
});

const ports = 'use numbers from 1 to 65535 and ranges such as 8000-8010, with commas between';
const networks = 'use networks such as 10.0.0.0/8 or fd00::/8, with commas between';
const noImage = 'is no image: write one such as registry.example/cortexflow/sidecar:0.1.0';
const noCpu = 'is no amount of CPU: write thousandths of a core such as 100m, or cores such as 0.5';
const noMemory = 'is no amount of memory: write mebibytes such as 64Mi, or bytes';

const noTaker = 'use a port of the pod, with the path where there is one, such as 7000 or 7000/messages';

const WRONG: readonly (readonly [name: string, value: string, what: string])[] = [
  ['exclude-inbound-ports', 'http', `"http" is no port: ${ports}`],
  ['exclude-inbound-ports', '0', `"0" is no port: ${ports}`],
  ['exclude-outbound-ports', '80,65536', `"65536" is no port: ${ports}`],
  ['exclude-outbound-ports', '80;81', `"80;81" is no port: ${ports}`],
  ['exclude-outbound-ports', '90-80', 'the range 90-80 ends before it begins: write 80-90'],
  ['exclude-outbound-ports', '80-', `"80-" is no port: ${ports}`],
  ['exclude-inbound-cidrs', 'office', `"office" is no network: ${networks}`],
  ['exclude-inbound-cidrs', '10.0.0.0/33', `10.0.0.0/33 has a prefix of more than 32 bits: ${networks}`],
  ['exclude-inbound-cidrs', '10.0.0/8', `"10.0.0/8" is no network: ${networks}`],
  ['exclude-inbound-cidrs', 'fe80::1%eth0/64', `"fe80::1%eth0/64" is no network: ${networks}`],
  ['exclude-outbound-cidrs', '10.1.2.3/8', '10.1.2.3/8 has bits set beyond its prefix: write 10.0.0.0/8'],
  [
    'exclude-outbound-cidrs',
    'fd00:1::2/32',
    'fd00:1::2/32 has bits set beyond its prefix: write fd00:1::/32',
  ],
  [
    'exclude-outbound-cidrs',
    '::ffff:10.0.0.1/120',
    '::ffff:10.0.0.1/120 has bits set beyond its prefix: write ::ffff:a00:0/120',
  ],
  [
    'upstreams',
    'hello.demo:80',
    '"hello.demo:80" is no upstream: write listen=service, such as 127.0.0.1:8080=hello.demo:80 ' +
      'or 127.0.0.1:5300=dns.demo:53/udp',
  ],
  [
    'upstreams',
    '8080=hello.demo:80',
    'cannot listen on "8080": give an IP address and a port, such as 127.0.0.1:8080',
  ],
  [
    'upstreams',
    '127.0.0.1:8080=hello:80',
    '"hello:80" is no Service: write name.namespace:port, such as hello.demo:80',
  ],
  [
    'upstreams',
    '127.0.0.1:8080=hello.demo.svc.other.domain:80',
    '"hello.demo.svc.other.domain:80" is no Service: write name.namespace:port, such as hello.demo:80',
  ],
  [
    'upstreams',
    '127.0.0.1:8080=dns.demo:53/sctp',
    '"dns.demo:53/sctp" asks for "sctp": upstreams carry /tcp, which may be left out, and /udp',
  ],
  [
    'upstreams',
    '127.0.0.1:8080/UDP=dns.demo:53',
    '"127.0.0.1:8080/UDP" asks for "UDP": upstreams carry /tcp, which may be left out, and /udp',
  ],
  [
    'upstreams',
    '127.0.0.1:8080/udp=dns.demo:53/tcp',
    '"127.0.0.1:8080/udp=dns.demo:53/tcp" listens for one protocol and leads to another: write the same after ' +
      'both, or after one of them',
  ],
  [
    'upstreams',
    '127.0.0.1:5300/udp=a.b:1,0.0.0.0:5300=c.d:2/udp',
    'listens on 127.0.0.1:5300 and 0.0.0.0:5300, which meet: give each upstream its own port',
  ],
  [
    'upstreams',
    '127.0.0.1:5053/udp=a.b:1',
    "listens on port 5053, which is the proxy's own, like all from 5053 to 5058: choose another",
  ],
  [
    'upstreams',
    '127.0.0.1:5054=hello.demo:80',
    "listens on port 5054, which is the proxy's own, like all from 5053 to 5058: choose another",
  ],
  [
    'upstreams',
    '127.0.0.1:0=hello.demo:80',
    'listens on port 0: choose the port that the application connects to',
  ],
  [
    'upstreams',
    'localhost:8080=a.b:1,127.0.0.1:8080=c.d:2',
    'listens on 127.0.0.1:8080 twice: give each upstream its own port',
  ],
  [
    'upstreams',
    '127.0.0.1:8080=a.b:1,0.0.0.0:8080=c.d:2',
    'listens on 127.0.0.1:8080 and 0.0.0.0:8080, which meet: give each upstream its own port',
  ],
  [
    'upstreams',
    '[::]:8080=a.b:1,127.0.0.1:8080=c.d:2',
    'listens on [::]:8080 and 127.0.0.1:8080, which meet: give each upstream its own port',
  ],
  [
    'upstreams',
    '10.0.0.7:8080=hello.demo:80',
    'cannot listen on "10.0.0.7:8080", which no pod has before it is made: give an address of loopback, such as ' +
      '127.0.0.1:8080 or [::1]:8080, or all of them, 0.0.0.0:8080',
  ],
  ['deliver-messages-to', 'http://app:7000', noTaker],
  ['deliver-messages-to', '0', noTaker],
  ['deliver-messages-to', '65536', noTaker],
  ['deliver-messages-to', '7000messages', noTaker],
  ['deliver-messages-to', '7000/a b', noTaker],
  [
    'deliver-messages-to',
    '5054',
    "port 5054 is the proxy's own, like all from 5053 to 5058: use one that the application listens on",
  ],
  ['log-level', 'loud', 'use one of error, warn, info, debug'],
  ['log-level', 'constructor', 'use one of error, warn, info, debug'],
  ['proxy-image', 'Sidecar:1', 'has capital letters in "Sidecar": write sidecar'],
  ['proxy-image', 'sidecar:', 'has the tag "": use up to 128 letters, digits, dots, dashes and underscores'],
  ['proxy-image', 'sidecar@sha256:12', 'has the digest "sha256:12": write sha256: and 64 hexadecimal digits'],
  ['proxy-image', 'a b', noImage],
  ['proxy-image', 'http://r.example/a', noImage],
  ['proxy-cpu-request', 'lots', noCpu],
  ['proxy-cpu-request', '-1', noCpu],
  ['proxy-cpu-limit', '.', noCpu],
  ['proxy-cpu-limit', '1u', 'is finer than a thousandth of a core: write whole thousandths, such as 10m'],
  ['proxy-memory-request', '64MB', noMemory],
  ['proxy-memory-request', '64 Mi', noMemory],
  ['proxy-memory-limit', '64m', 'is less than a mebibyte: did you mean "64Mi"?'],
  ['proxy-memory-limit', '64', 'is less than a mebibyte: did you mean "64Mi"?'],
  ['require-control-plane', 'yes', 'use "true" or "false"'],
];

for (const [name, value, what] of WRONG) {
  test(`${name}: ${value}`, (t) => {
    t.is(mistakeOf(name, value), `annotation cortexflow.io/${name} is ${JSON.stringify(value)}: ${what}`);
  });
}

test('more upstreams than a sidecar should listen for', (t) => {
  const upstreams = Array.from({ length: 101 }, (_, index) => `127.0.0.1:${8_000 + index}=hello.demo:80`);
  t.regex(
    mistakeOf('upstreams', upstreams.join()) ?? '',
    /: has 101 upstreams: a pod has at most 100, leave some out$/,
  );
  t.is(mistakeOf('upstreams', upstreams.slice(1).join()), undefined);
});

test('a request above the limit names both', (t) => {
  const { mistakes } = readOptions({
    'cortexflow.io/proxy-memory-request': '1Gi',
    'cortexflow.io/proxy-memory-limit': '1000M',
  });
  t.deepEqual(mistakes, [
    'annotation cortexflow.io/proxy-memory-request is "1Gi": it is more than ' +
      'cortexflow.io/proxy-memory-limit, 1000M: lower the request or raise the limit',
  ]);
});

test('all mistakes come to light at once', (t) => {
  const { mistakes } = readOptions({
    'cortexflow.io/log-level': 'loud',
    'cortexflow.io/proxy-cpu-limit': 'lots',
  });
  t.is(mistakes.length, 2);
});

test('an unknown annotation is a warning that names the nearest', (t) => {
  const { warnings, mistakes } = readOptions({
    'cortexflow.io/exclude-outbond-ports': '80',
    'cortexflow.io/proxy-injection': 'disabled',
    'cortexflow.io/colour': 'blue',
    'cortexflow.io/': '',
  });
  t.deepEqual(mistakes, []);
  t.deepEqual(warnings, [
    'annotation cortexflow.io/exclude-outbond-ports is unknown and does nothing: did you mean ' +
      'cortexflow.io/exclude-outbound-ports?',
    'annotation cortexflow.io/proxy-injection is unknown and does nothing: did you mean proxy-injection?',
    'annotation cortexflow.io/colour is unknown and does nothing',
    'annotation cortexflow.io/ is unknown and does nothing',
  ]);
});

test('of very many unknown annotations the first ones are told, and of long names the beginning', (t) => {
  const names = Array.from({ length: 5_000 }, (_, index) => `cortexflow.io/${index}-exclude-outbond-ports`);
  const { warnings } = readOptions(Object.fromEntries(names.map((name) => [name, ''])));
  t.is(warnings.length, 11);
  t.is(warnings.at(-1), '4990 more annotations cortexflow.io/… are unknown and do nothing');
  const [long = ''] = readOptions({ [`cortexflow.io/${'a'.repeat(200_000)}`]: '' }).warnings;
  t.regex(long, /^annotation cortexflow\.io\/a{46}… is unknown and does nothing$/);
});

test('a long value is cut in the message, and takes no long time', (t) => {
  const long = 'a'.repeat(250_000);
  for (const name of ['exclude-inbound-ports', 'exclude-inbound-cidrs', 'upstreams', 'proxy-image']) {
    const mistake = mistakeOf(name, long) ?? '';
    t.true(mistake.length < 400, name);
  }
  t.true((mistakeOf('proxy-cpu-limit', '9'.repeat(250_000)) ?? '').length < 400);
});

test('given annotations that become longer than an environment variable may be, says so', (t) => {
  const many = Array.from({ length: 5_000 }, (_, index) => 10_000 + index).join(',');
  t.deepEqual(readOptions({ 'cortexflow.io/exclude-inbound-ports': many }).mistakes, []);
  t.deepEqual(
    readOptions({
      'cortexflow.io/exclude-inbound-ports': many,
      'cortexflow.io/exclude-outbound-ports': many,
    }).mistakes,
    [
      'annotations cortexflow.io/… have 59998 bytes together: the proxy takes 32768; merge ports into ranges and ' +
        'networks into larger ones',
    ],
  );
});
