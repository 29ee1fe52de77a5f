/** What the injector writes, read by the program it is written for: the two share no code. */
import test from 'ava';
import * as fc from 'fast-check';
import { bootstrapOf } from '../../injector/bootstrap.ts';
import { readOptions } from '../../injector/options.ts';
import { loadConfig, type SidecarConfig } from '../../sidecar/config.ts';
import { rulesetFor } from '../../sidecar/proxy-init/ruleset.ts';
import { arbitraryPod } from './arbitrary-pod.ts';

const settings = {
  controlPlane: ['control-plane.cortexflow.svc:18000', '[fd00::7]:18000'],
  adminHost: '0.0.0.0',
};

/** As in a pod, after the kubelet has filled in what it knows. */
function configOf(annotations: Readonly<Record<string, string>> | undefined): SidecarConfig {
  const { options, mistakes } = readOptions(annotations);
  if (mistakes.length > 0) throw new Error(mistakes.join('; '));
  const environment: Readonly<Record<string, string>> = {
    CORTEXFLOW_POD_NAME: 'web-0',
    CORTEXFLOW_NAMESPACE: 'demo',
    CORTEXFLOW_NODE_NAME: 'node-1',
    CORTEXFLOW_NODE_ID: 'demo/web-0',
    CORTEXFLOW_BOOTSTRAP: JSON.stringify(bootstrapOf(options, settings)),
  };
  const loaded = loadConfig((name) => environment[name]);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.mistakes));
  return loaded.config;
}

test('the bootstrap of a pod that asks for nothing', (t) => {
  const { node, controlPlane, admin, lastGoodFile, log, interception } = configOf({});
  t.deepEqual([node.id, node.namespace, node.nodeName], ['demo/web-0', 'demo', 'node-1']);
  t.deepEqual(controlPlane.addresses, settings.controlPlane);
  t.deepEqual([controlPlane.required, controlPlane.waitMs], [false, 10_000]);
  t.deepEqual(admin, { host: '0.0.0.0', port: 5058 });
  t.is(lastGoodFile, '/var/lib/cortexflow/last-good.json');
  t.is(log.level, 'info');
  t.is(interception?.proxyUid, 2102);
  t.deepEqual([interception?.outbound.port, interception?.inbound.port], [5054, 5056]);
});

test('options arrive as they were meant', (t) => {
  const { controlPlane, interception, upstreams, messages, log } = configOf({
    'cortexflow.io/deliver-messages-to': '7000',
    'cortexflow.io/exclude-inbound-ports': '22, 8000-8010',
    'cortexflow.io/exclude-outbound-cidrs': '10.0.0.0/8,fd00::1',
    'cortexflow.io/upstreams':
      'localhost:15432=db.data.svc:5432/tcp,127.0.0.1:5300/udp=dns.demo:53,127.0.0.1:15432=dns.demo:54/udp',
    'cortexflow.io/log-level': 'debug',
    'cortexflow.io/require-control-plane': 'true',
  });
  t.true(controlPlane.required);
  t.is(messages.deliverTo, 'http://127.0.0.1:7000/');
  t.is(log.level, 'debug');
  t.deepEqual(interception?.inbound.exclude.ports, [
    { first: 22, last: 22 },
    { first: 8000, last: 8010 },
  ]);
  t.deepEqual(interception?.outbound.exclude.cidrs, [
    { family: 'ipv4', address: '10.0.0.0', prefix: 8 },
    { family: 'ipv6', address: 'fd00::1', prefix: 128 },
  ]);
  t.deepEqual(
    upstreams.map(({ listen, service, port, protocol }) => [listen.port, service, port, protocol]),
    [
      [15_432, 'data/db', 5432, 'tcp'],
      [5300, 'demo/dns', 53, 'udp'],
      [15_432, 'demo/dns', 54, 'udp'],
    ],
  );
});

test('a pod that says so has no DNS proxy, and no rule for its DNS requests', (t) => {
  for (const [value, expected] of [
    ['true', true],
    ['false', false],
  ] as const) {
    const { interception, dns } = configOf({ 'cortexflow.io/intercept-dns': value });
    t.is(dns !== undefined, expected);
    if (interception === undefined) throw new Error('no interception');
    const { chains } = rulesetFor(interception, { findsListeners: true }, dns?.listen[0]?.port);
    const comments = chains.flatMap(({ rules }) => rules.map(({ comment }) => comment));
    t.is(comments.includes('DNS to the sidecar'), expected);
  }
});

test('whatever annotations the injector takes, the sidecar takes their bootstrap', (t) => {
  fc.assert(
    fc.property(arbitraryPod, ({ metadata }) => {
      configOf(metadata.annotations);
    }),
  );
  t.pass();
});

const address = fc.oneof(
  fc.ipV4(),
  fc.ipV6().map((ip) => `[${ip}]`),
  fc.constantFrom('localhost', '0.0.0.0', '[::]', 'host', '1.2.3'),
);
const port = fc.integer({ min: -1, max: 70_000 });
const protocol = fc.constantFrom('', '', '/tcp', '/udp', '/sctp');
const upstream = fc
  .tuple(
    address,
    port,
    fc.constantFrom('a.b', 'a', 'a.b.svc', 'a.b.svc.cluster.local', 'A.b', 'a.b.other'),
    port,
    fc.tuple(protocol, protocol),
  )
  .map(
    ([host, listen, service, target, [before, after]]) =>
      `${host}:${listen}${before}=${service}:${target}${after}`,
  );
const exclusion = fc.oneof(
  fc.tuple(port, port).map(([first, last]) => `${first}-${last}`),
  fc
    .tuple(address, fc.integer({ min: 0, max: 130 }))
    .map(([host, prefix]) => `${host.replace(/[[\]]/g, '')}/${prefix}`),
  port.map(String),
);

test('no value passes the injector and fails the sidecar, however odd', (t) => {
  let passed = 0;
  fc.assert(
    fc.property(
      fc.array(upstream, { maxLength: 3 }),
      fc.array(exclusion, { maxLength: 3 }),
      (upstreams, exclusions) => {
        const values = {
          'cortexflow.io/upstreams': upstreams.join(','),
          'cortexflow.io/exclude-inbound-ports': exclusions.join(','),
          'cortexflow.io/exclude-outbound-cidrs': exclusions.join(','),
        };
        for (const [name, value] of Object.entries(values)) {
          if (readOptions({ [name]: value }).mistakes.length > 0) continue;
          configOf({ [name]: value });
          passed += value === '' ? 0 : 1;
        }
      },
    ),
    { numRuns: 5_000 },
  );
  t.true(passed > 100);
});
