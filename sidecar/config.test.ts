import test from 'ava';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoadedConfig, SidecarConfig } from './config.ts';
import { describeMistakes, loadConfig } from './config.ts';

const folder = mkdtempSync(join(tmpdir(), 'cortexflow-config-'));
test.after.always(() => {
  rmSync(folder, { recursive: true });
});

let files = 0;
function fileOf(content: unknown, extension = 'json'): string {
  files += 1;
  const path = join(folder, `bootstrap-${files}.${extension}`);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

function load(environment: Record<string, string>): LoadedConfig {
  return loadConfig((name) => environment[name]);
}

function configOf(loaded: LoadedConfig): SidecarConfig {
  if (!loaded.ok) {
    throw new Error(describeMistakes(loaded.mistakes));
  }
  return loaded.config;
}

function mistakesOf(loaded: LoadedConfig): string[] {
  return loaded.ok ? [] : loaded.mistakes.map(({ where, what }) => `${where} ${what}`);
}

test('nothing at all is a sidecar with defaults, frozen through and through', (t) => {
  const config = configOf(load({}));
  t.deepEqual(config, {
    node: { id: hostname(), cluster: '', zone: '', nodeName: '', namespace: '' },
    controlPlane: { addresses: ['127.0.0.1:18000'], required: false, waitMs: 10_000 },
    upstreams: [],
    messages: {
      listen: [],
      maxConnections: 1_000,
      messagesPerSecond: 10_000,
      deliveryTimeoutMs: 10_000,
    },
    admin: { host: '127.0.0.1', port: 5058 },
    lastGoodFile: undefined,
    interception: undefined,
    log: { level: 'info', format: 'auto' },
    limits: {
      maxConnections: 10_000,
      connectTimeoutMs: 3000,
      connectAttempts: 3,
      maxFlows: 10_000,
      flowIdleTimeoutMs: 60_000,
      idleTimeoutMs: 3_600_000,
      endpointsWaitMs: 2000,
    },
    endpointsIdleMs: 300_000,
    drainMs: 30_000,
  });
  t.true(Object.isFrozen(config.limits) && Object.isFrozen(config.upstreams));
});

test('a JSON file says it all', (t) => {
  const path = fileOf({
    node: { id: 'edge-1', zone: 'eu-1a' },
    controlPlane: { addresses: ['[::1]:18000', 'control-plane.cortexflow.svc:18000'] },
    upstreams: [
      { listen: '127.0.0.1:8080', service: 'hello.demo:80' },
      { listen: '[::1]:8081', service: 'db.demo.svc.cluster.local:5432/tcp', balance: 'consistent-hash' },
    ],
    lastGoodFile: '/var/lib/cortexflow/last-good',
  });
  const config = configOf(load({ CORTEXFLOW_BOOTSTRAP: path }));
  t.is(config.node.id, 'edge-1');
  t.deepEqual(config.upstreams, [
    {
      listen: { host: '127.0.0.1', port: 8080 },
      service: 'demo/hello',
      port: 80,
      protocol: 'tcp',
      balance: 'least-latency',
    },
    {
      listen: { host: '::1', port: 8081 },
      service: 'demo/db',
      port: 5432,
      protocol: 'tcp',
      balance: 'consistent-hash',
    },
  ]);
});

test('a YAML file is read as one', (t) => {
  const path = fileOf('upstreams:\n  - listen: 127.0.0.1:8080\n    service: hello.demo:80\n', 'yaml');
  t.is(configOf(load({ CORTEXFLOW_BOOTSTRAP: path })).upstreams[0]?.service, 'demo/hello');
});

test('the environment wins over the file, and an empty variable is none', (t) => {
  const path = fileOf({ node: { zone: 'from-file', id: 'from-file' }, drainMs: 1 });
  const config = configOf(
    load({
      CORTEXFLOW_BOOTSTRAP: path,
      CORTEXFLOW_ZONE: 'from-environment',
      CORTEXFLOW_NODE_ID: '',
      CORTEXFLOW_DRAIN_MS: '2',
      CORTEXFLOW_ADMIN_ADDRESS: '[::1]:0',
      CORTEXFLOW_CONTROL_PLANE: 'a:1, b:2',
      CORTEXFLOW_UPSTREAMS: '127.0.0.1:8080=hello.demo:80,127.0.0.1:8081=db.demo:5432',
    }),
  );
  t.deepEqual(
    [config.node.zone, config.node.id, config.drainMs, config.admin, config.controlPlane.addresses],
    ['from-environment', 'from-file', 2, { host: '::1', port: 0 }, ['a:1', 'b:2']],
  );
  t.deepEqual(
    config.upstreams.map(({ listen, service, port }) => `${listen.port} ${service} ${port}`),
    ['8080 demo/hello 80', '8081 demo/db 5432'],
  );
});

test('every mistake is told at once, with where, what and what to do', (t) => {
  const path = fileOf({
    nod: {},
    node: { zones: 'x', id: 7 },
    controlPlane: { addresses: ['nowhere', '::1:18000'] },
    upstreams: [
      { listen: '8080', service: 'hello' },
      { listen: '127.0.0.1:1', service: 'dns.demo:53/sctp', balance: 'random' },
      { service: 'hello.demo:80', colour: 'blue' },
    ],
    limits: { maxConnections: 0 },
    log: 'loud',
  });
  const loaded = load({
    CORTEXFLOW_BOOTSTRAP: path,
    CORTEXFLOW_DRAIN_MS: 'soon',
    CORTEXFLOW_LOG_LEVEL: 'all',
  });
  const expected = [
    `${path} nod is no field there: did you mean node?`,
    `${path} node.zones is no field there: did you mean zone?`,
    `${path} upstreams[2].colour is no field there: the fields are listen, service, balance`,
    `${path} node.id must be text, and is 7`,
    `${path} controlPlane.addresses[0] must be host:port, such as 127.0.0.1:18000 or [::1]:18000, and is "nowhere"`,
    `${path} controlPlane.addresses[1] must be host:port, such as 127.0.0.1:18000 or [::1]:18000, and is "::1:18000"`,
    `${path} upstreams[0].listen must be the local address to listen on, such as 127.0.0.1:8080, [::1]:8080 or 127.0.0.1:5300/udp, and is "8080"`,
    `${path} upstreams[0].service must be name.namespace:port, such as hello.demo:80 or dns.demo:53/udp, and is "hello"`,
    `${path} upstreams[1].service must be name.namespace:port, such as hello.demo:80 or dns.demo:53/udp, and is "dns.demo:53/sctp"`,
    `${path} upstreams[1].balance must be one of least-latency, round-robin, least-request, consistent-hash, and is "random"`,
    `${path} limits.maxConnections must be a whole number from 1 to 1000000, and is 0`,
    `CORTEXFLOW_DRAIN_MS must be a whole number of milliseconds from 1 to 86400000, and is "soon"`,
  ];
  const mistakes = mistakesOf(loaded);
  for (const mistake of expected) {
    t.true(mistakes.includes(mistake), `${mistake}\nis not among\n${mistakes.join('\n')}`);
  }
  t.true(mistakes.some((mistake) => mistake.startsWith(`${path} upstreams[2].listen `)));
  t.true(mistakes.some((mistake) => mistake.startsWith(`${path} log must be an object`)));
  t.is(mistakes.length, 14);
});

test('two upstreams on one address are a mistake', (t) => {
  const upstream = { listen: '127.0.0.1:8080', service: 'hello.demo:80' };
  const path = fileOf({ upstreams: [upstream, upstream] });
  t.deepEqual(mistakesOf(load({ CORTEXFLOW_BOOTSTRAP: path })), [
    `${path} upstreams listen on one address more than once: give each upstream its own`,
  ]);
});

test('two upstreams to one port of a Service with different policies are a mistake that names both', (t) => {
  const upstreams = [
    { listen: '127.0.0.1:8080', service: 'hello.demo:80' },
    { listen: '127.0.0.1:8081', service: 'hello.demo:443', balance: 'round-robin' },
    { listen: '127.0.0.1:8082', service: 'hello.other:80', balance: 'round-robin' },
    { listen: '127.0.0.1:8083', service: 'hello.demo:80', balance: 'least-latency' },
  ];
  t.deepEqual(mistakesOf(load({ CORTEXFLOW_BOOTSTRAP: fileOf({ upstreams }) })), []);
  const rivals = [
    { listen: '127.0.0.1:8080', service: 'hello.demo.svc:80/tcp', balance: 'round-robin' },
    { listen: '127.0.0.1:8085', service: 'hello.demo:443', balance: 'least-request' },
  ];
  const path = fileOf({ upstreams: [...upstreams, ...rivals] });
  t.deepEqual(mistakesOf(load({ CORTEXFLOW_BOOTSTRAP: path })), [
    `${path} upstreams listen on one address more than once: give each upstream its own`,
    `${path} upstreams lead to port 80/tcp of Service demo/hello with least-latency in [0] and round-robin in [4]: give both one balance; and lead to port 443/tcp of Service demo/hello with round-robin in [1] and least-request in [5]: give both one balance`,
  ]);
});

test('an upstream is of UDP where either side says so, beside one of TCP on the same port', (t) => {
  const { upstreams } = configOf(
    load({
      CORTEXFLOW_UPSTREAMS:
        '127.0.0.1:5300/udp=dns.demo:53, 127.0.0.1:5301=dns.demo:53/udp, 127.0.0.1:5300=dns.demo:53',
    }),
  );
  t.deepEqual(
    upstreams.map(({ listen, service, port, protocol }) => [listen, service, port, protocol]),
    [
      [{ host: '127.0.0.1', port: 5300 }, 'demo/dns', 53, 'udp'],
      [{ host: '127.0.0.1', port: 5301 }, 'demo/dns', 53, 'udp'],
      [{ host: '127.0.0.1', port: 5300 }, 'demo/dns', 53, 'tcp'],
    ],
  );
  t.deepEqual(mistakesOf(load({ CORTEXFLOW_UPSTREAMS: '127.0.0.1:5300/udp=dns.demo:53/tcp' })), [
    'CORTEXFLOW_UPSTREAMS [0] (listen=service, …) listens for one protocol and leads to another: write the same after both, or after one of them',
  ]);
});

test('a mistake in a variable names the variable and how it is written', (t) => {
  t.deepEqual(mistakesOf(load({ CORTEXFLOW_UPSTREAMS: '127.0.0.1:8080=hello' })), [
    'CORTEXFLOW_UPSTREAMS [0].service (listen=service, …) must be name.namespace:port, such as hello.demo:80 or dns.demo:53/udp, and is "hello"',
  ]);
  t.deepEqual(mistakesOf(load({ CORTEXFLOW_ADMIN_ADDRESS: 'here' })), [
    'CORTEXFLOW_ADMIN_ADDRESS port (host:port) must be a port number from 0 to 65535, and is "here"',
  ]);
});

test('a file that is missing, broken or no object is one mistake', (t) => {
  t.regex(
    mistakesOf(load({ CORTEXFLOW_BOOTSTRAP: '/nowhere' }))[0] ?? '',
    /^CORTEXFLOW_BOOTSTRAP names a file/u,
  );
  for (const [content, extension] of [
    ['{"node":', 'json'],
    ['node: [', 'yml'],
    ['[1]', 'json'],
  ] as const) {
    const path = fileOf(content, extension);
    const mistakes = mistakesOf(load({ CORTEXFLOW_BOOTSTRAP: path, CORTEXFLOW_ZONE: 'z' }));
    t.is(mistakes.length, 1, content);
    t.true(mistakes[0]?.startsWith(path), mistakes[0]);
  }
});

test('how many endpoints a connection may try is a setting like the others', (t) => {
  const set = loadConfig((name) => (name === 'CORTEXFLOW_CONNECT_ATTEMPTS' ? '5' : undefined));
  t.is(set.ok && set.config.limits.connectAttempts, 5);
  const wrong = loadConfig((name) => (name === 'CORTEXFLOW_CONNECT_ATTEMPTS' ? '0' : undefined));
  t.like(wrong.ok ? {} : wrong.mistakes[0], { where: 'CORTEXFLOW_CONNECT_ATTEMPTS' });
});

test('an upstream listens on an address and goes to a name that Kubernetes could have', (t) => {
  const ofUpstream = (listen: string, service: string) =>
    mistakesOf(load({ CORTEXFLOW_UPSTREAMS: `${listen}=${service}` }));
  t.regex(
    ofUpstream('web.example:80', 'hello.demo:80')[0] ?? '',
    /must begin with an IP address of this machine/u,
  );
  t.regex(ofUpstream('127.0.0.1:80', '-hello.demo:80')[0] ?? '', /must be name\.namespace:port/u);
  t.regex(ofUpstream('127.0.0.1:80', `${'a'.repeat(64)}.demo:80`)[0] ?? '', /must be name\.namespace:port/u);
  t.regex(ofUpstream('127.0.0.1:80', 'hello.demo.svc.corp:80')[0] ?? '', /names the cluster domain corp/u);
  const local = configOf(load({ CORTEXFLOW_UPSTREAMS: 'localhost:80=hello.demo.svc:80' }));
  t.deepEqual(local.upstreams[0]?.listen, { host: '127.0.0.1', port: 80 });
});

test('the admin page has an address or a name', (t) => {
  for (const host of ['::1', '0.0.0.0', 'localhost', 'edge-1.example']) {
    t.is(configOf(load({ CORTEXFLOW_BOOTSTRAP: fileOf({ admin: { host } }) })).admin.host, host);
  }
  for (const host of ['', '1.2.3', 'a b', '[::1]']) {
    const path = fileOf({ admin: { host } });
    t.regex(
      mistakesOf(load({ CORTEXFLOW_BOOTSTRAP: path }))[0] ?? '',
      /admin\.host must be an IP address or a host name/u,
      host,
    );
  }
});

function besideAdmin(listen: string): string[] {
  return mistakesOf(
    load({ CORTEXFLOW_UPSTREAMS: `${listen}=hello.demo:80`, CORTEXFLOW_ADMIN_ADDRESS: 'localhost:5058' }),
  );
}

test('an upstream on the port of the admin page is a mistake', (t) => {
  for (const listen of ['127.0.0.1:5058', '0.0.0.0:5058']) {
    t.deepEqual(besideAdmin(listen), [
      'CORTEXFLOW_UPSTREAMS [0].listen (listen=service, …) is where the admin page listens: give one of them another port',
    ]);
  }
  t.deepEqual(besideAdmin('127.0.0.2:5058'), []);
});

function besideDns(listen: string): LoadedConfig {
  return load({
    CORTEXFLOW_BOOTSTRAP: JSON.stringify({ dns: { listen: ['127.0.0.1:5053'] } }),
    CORTEXFLOW_UPSTREAMS: `${listen}=hello.demo:80`,
  });
}

test('an upstream on the port of the DNS proxy is a mistake, by UDP as well as by TCP', (t) => {
  for (const listen of ['127.0.0.1:5053/udp', '127.0.0.1:5053', '0.0.0.0:5053/udp']) {
    t.deepEqual(mistakesOf(besideDns(listen)), [
      'CORTEXFLOW_UPSTREAMS [0].listen (listen=service, …) is where the DNS proxy listens: give one of them another port',
    ]);
  }
  t.is(configOf(besideDns('127.0.0.2:5053/udp')).upstreams.length, 1);
  t.is(configOf(besideDns('127.0.0.1:5058/udp')).upstreams.length, 1, 'the admin page is there by TCP alone');
});

const INTERCEPTION = {
  proxyUid: 2102,
  outbound: { port: 5054, exclude: { ports: ['22', '8000-8010', 9], cidrs: ['10.0.0.0/8', '192.0.2.7'] } },
  inbound: { exclude: { cidrs: ['FD00:0:0::/48'] } },
};

test('a value that begins with a brace is the bootstrap itself', (t) => {
  const document = JSON.stringify({ node: { id: 'here' }, controlPlane: { required: true, waitMs: 5 } });
  const config = configOf(
    load({ CORTEXFLOW_BOOTSTRAP: ` ${document}`, CORTEXFLOW_CONTROL_PLANE_WAIT_MS: '6' }),
  );
  t.is(config.node.id, 'here');
  t.deepEqual(config.controlPlane, { addresses: ['127.0.0.1:18000'], required: true, waitMs: 6 });
});

test('mistakes in a bootstrap that is a value name the variable', (t) => {
  t.deepEqual(mistakesOf(load({ CORTEXFLOW_BOOTSTRAP: '{"drain": 1, "log": {"level": "loud"}}' })), [
    'CORTEXFLOW_BOOTSTRAP drain is no field there: did you mean drainMs?',
    'CORTEXFLOW_BOOTSTRAP log.level must be one of error, warn, info, debug, and is "loud"',
  ]);
  t.regex(
    mistakesOf(load({ CORTEXFLOW_BOOTSTRAP: '{"node": ' }))[0] ?? '',
    /^CORTEXFLOW_BOOTSTRAP cannot be parsed: /u,
  );
});

test('interception, with what is left out of it as the kernel writes it', (t) => {
  const { interception } = configOf(
    load({ CORTEXFLOW_BOOTSTRAP: JSON.stringify({ interception: INTERCEPTION }) }),
  );
  t.deepEqual(interception, {
    proxyUid: 2102,
    outbound: {
      port: 5054,
      exclude: {
        ports: [
          { first: 22, last: 22 },
          { first: 8000, last: 8010 },
          { first: 9, last: 9 },
        ],
        cidrs: [
          { family: 'ipv4', address: '10.0.0.0', prefix: 8 },
          { family: 'ipv4', address: '192.0.2.7', prefix: 32 },
        ],
      },
    },
    inbound: {
      port: 5056,
      exclude: { ports: [], cidrs: [{ family: 'ipv6', address: 'fd00::', prefix: 48 }] },
    },
  });
});

test('mistakes in what is left out of interception', (t) => {
  const exclude = {
    ports: ['0', '9-8', 'http', true],
    cidrs: ['10.0.0.0/33', '::1%eth0', 'pods', '10.1.2.3/8'],
  };
  const mistakes = mistakesOf(
    load({ CORTEXFLOW_BOOTSTRAP: JSON.stringify({ interception: { outbound: { exclude }, inbond: {} } }) }),
  );
  t.is(mistakes.length, 9, mistakes.join('\n'));
  t.true(
    mistakes.includes(
      'CORTEXFLOW_BOOTSTRAP interception.outbound.exclude.cidrs[3] must have no bits set beyond its prefix: write 10.0.0.0/8, and is "10.1.2.3/8"',
    ),
    mistakes.join('\n'),
  );
  t.true(
    mistakes.includes(
      'CORTEXFLOW_BOOTSTRAP interception.outbound.exclude.ports[1] must be a port from 1 to 65535 or a range of them, such as "22" or "8000-8010", and is "9-8"',
    ),
    mistakes.join('\n'),
  );
  t.true(
    mistakes.includes(
      'CORTEXFLOW_BOOTSTRAP interception.outbound.exclude.cidrs[0] must be an address block, such as 10.0.0.0/8 or fd00::/8, and is "10.0.0.0/33"',
    ),
    mistakes.join('\n'),
  );
  t.true(
    mistakes.some((mistake) =>
      mistake.includes('interception.inbond is no field there: did you mean inbound?'),
    ),
  );
});

function mistakesIn(bootstrap: unknown): string {
  return mistakesOf(load({ CORTEXFLOW_BOOTSTRAP: JSON.stringify(bootstrap) })).join('\n');
}

test("the ports that connections are redirected to are nobody else's", (t) => {
  t.is(
    mistakesIn({ interception: {}, upstreams: [{ listen: '127.0.0.1:5056', service: 'hello.demo:80' }] }),
    'CORTEXFLOW_BOOTSTRAP upstreams[0].listen is where inbound connections are redirected to: give one of them another port',
  );
  t.is(
    mistakesIn({ interception: { outbound: { port: 5058 } } }),
    'CORTEXFLOW_BOOTSTRAP interception.outbound.port is where the admin page listens: give one of them another port',
  );
  t.is(
    mistakesIn({ interception: { outbound: { port: 5056 } } }),
    'CORTEXFLOW_BOOTSTRAP interception has one port for outbound and inbound: give each its own',
  );
});

test('the DNS proxy: on by its section or its variables, with what is left out as usual', (t) => {
  const listen = [
    { host: '127.0.0.1', port: 5053 },
    { host: '::1', port: 5053 },
  ];
  t.deepEqual(configOf(load({ CORTEXFLOW_BOOTSTRAP: fileOf({ dns: {} }) })).dns, {
    listen,
    cacheBytes: 4_194_304,
  });
  t.is(configOf(load({})).dns, undefined);
  const all = configOf(
    load({
      CORTEXFLOW_DNS_LISTEN: '127.0.0.2:53, [::1]:0',
      CORTEXFLOW_DNS_UPSTREAMS: '10.96.0.10,[fd00::10]:5353',
      CORTEXFLOW_DNS_CLUSTER_DOMAIN: 'example.org',
      CORTEXFLOW_DNS_CACHE_BYTES: '0',
    }),
  );
  t.deepEqual(all.dns, {
    listen: [
      { host: '127.0.0.2', port: 53 },
      { host: '::1', port: 0 },
    ],
    upstreams: [
      { host: '10.96.0.10', port: 53 },
      { host: 'fd00::10', port: 5353 },
    ],
    clusterDomain: 'example.org',
    cacheBytes: 0,
  });
});

test('mistakes about the DNS proxy name the field', (t) => {
  const dns = { listen: ['here:1'], upstreams: ['dns.google:53'], clusterDomain: 'a..b' };
  t.deepEqual(
    mistakesOf(load({ CORTEXFLOW_BOOTSTRAP: JSON.stringify({ dns }) })).map(
      (text) => text.split(' must ')[0],
    ),
    [
      'CORTEXFLOW_BOOTSTRAP dns.listen[0]',
      'CORTEXFLOW_BOOTSTRAP dns.upstreams[0]',
      'CORTEXFLOW_BOOTSTRAP dns.clusterDomain',
    ],
  );
  for (const itself of [
    { upstreams: ['127.0.0.1:5053'] },
    { listen: ['0.0.0.0:53'], upstreams: ['192.0.2.1', '127.0.0.1'] },
  ]) {
    t.deepEqual(mistakesOf(load({ CORTEXFLOW_BOOTSTRAP: JSON.stringify({ dns: itself }) })), [
      'CORTEXFLOW_BOOTSTRAP dns has itself among its upstreams: name the DNS servers that know what it does not',
    ]);
  }
  const others = { listen: ['0.0.0.0:53'], upstreams: ['127.0.0.1:5353', '[::1]:53'] };
  t.is(configOf(load({ CORTEXFLOW_BOOTSTRAP: fileOf({ dns: others }) })).dns?.upstreams?.length, 2);
  const clash = { dns: { listen: ['127.0.0.1:5058'] } };
  t.deepEqual(mistakesOf(load({ CORTEXFLOW_BOOTSTRAP: JSON.stringify(clash) })), [
    'CORTEXFLOW_BOOTSTRAP dns.listen[0] is where the admin page listens: give one of them another port',
  ]);
});

test('messages: who takes them, where, and how many', (t) => {
  const { messages } = configOf(
    load({
      CORTEXFLOW_MESSAGES_DELIVER_TO: 'http://127.0.0.1:7000/messages',
      CORTEXFLOW_MESSAGES_LISTEN: '127.0.0.1:5054, [::1]:5054',
      CORTEXFLOW_MESSAGES_MAX_CONNECTIONS: '7',
      CORTEXFLOW_MESSAGES_PER_SECOND: '8',
      CORTEXFLOW_MESSAGES_DELIVERY_TIMEOUT_MS: '9',
    }),
  );
  t.deepEqual(messages, {
    deliverTo: 'http://127.0.0.1:7000/messages',
    listen: [
      { host: '127.0.0.1', port: 5054 },
      { host: '::1', port: 5054 },
    ],
    maxConnections: 7,
    messagesPerSecond: 8,
    deliveryTimeoutMs: 9,
  });
});

function clashOf(room: string, host: string, upstream: string): string {
  return mistakesIn({
    [room]: { listen: [`${host}:8080`] },
    upstreams: [{ listen: `${upstream}:8080`, service: 'hello.demo:80' }],
  });
}

test('messages and names on [::] leave IPv4 to others', (t) => {
  for (const room of ['messages', 'dns']) {
    for (const upstream of ['0.0.0.0', '127.0.0.1']) t.is(clashOf(room, '[::]', upstream), '');
    for (const [host, upstream] of [
      ['[::]', '[::]'],
      ['[::]', '[::1]'],
      ['0.0.0.0', '[::]'],
      ['[::1]', '[::]'],
    ] as const) {
      t.regex(clashOf(room, host, upstream), /give one of them another port$/u, `${host}, ${upstream}`);
    }
  }
});

test('what messages cannot be given to, and where they cannot be taken', (t) => {
  for (const address of ['7000', '127.0.0.1:7000', 'https://127.0.0.1:7000', '/messages']) {
    t.deepEqual(mistakesOf(load({ CORTEXFLOW_MESSAGES_DELIVER_TO: address })), [
      `CORTEXFLOW_MESSAGES_DELIVER_TO must be an address of plain HTTP, such as http://127.0.0.1:7000/messages, and is "${address}"`,
    ]);
  }
  for (const user of ['me', 'me:secret', ':secret']) {
    t.deepEqual(mistakesOf(load({ CORTEXFLOW_MESSAGES_DELIVER_TO: `http://${user}@127.0.0.1:7000/` })), [
      'CORTEXFLOW_MESSAGES_DELIVER_TO must name no user and no password: leave them out, and let the workload take messages without',
    ]);
  }
  t.deepEqual(mistakesOf(load({ CORTEXFLOW_MESSAGES_LISTEN: '127.0.0.1:5058' })), [
    'CORTEXFLOW_MESSAGES_LISTEN [0] is where the admin page listens: give one of them another port',
  ]);
  t.deepEqual(
    mistakesOf(
      load({
        CORTEXFLOW_MESSAGES_LISTEN: '0.0.0.0:8080',
        CORTEXFLOW_UPSTREAMS: '127.0.0.1:8080=hello.demo:80',
      }),
    ),
    [
      'CORTEXFLOW_UPSTREAMS [0].listen (listen=service, …) is where messages are taken: give one of them another port',
    ],
  );
});
