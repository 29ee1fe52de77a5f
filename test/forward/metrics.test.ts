import { once } from 'node:events';
import test from 'ava';
import { Registry, type RegistryContentType } from 'prom-client';
import { exposeForwarding } from '../../sidecar/forward/metrics.ts';
import {
  groupOf,
  always,
  balanceOver,
  closedPort,
  echo,
  HOST,
  startBackend,
  startForwarder,
} from './harness.ts';

function sample(text: string, name: string): number | undefined {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

test('a scrape shows connections, bytes, connects and endpoints, open connections included', async (t) => {
  const backend = await startBackend(t, echo);
  const { client, forwarder, log } = startForwarder(t, {
    routes: balanceOver([await closedPort(), backend]),
  });
  const registry = new Registry();
  exposeForwarding(registry, forwarder);
  const open = client();
  open.write('hello');
  await once(open, 'data');
  const closing = client();
  closing.end('good bye').resume();
  await log.nextOutcome();

  for (let scrape = 0; scrape < 2; scrape++) {
    const text = await registry.metrics();
    const out = 'direction="outbound"';
    const service = `${out},service="demo/hello"`;
    const endpoint = `${service},endpoint="${HOST}:${backend}"`;
    t.is(sample(text, `cortexflow_tcp_connections_opened_total{${service}}`), 2);
    t.is(sample(text, `cortexflow_tcp_connections_closed_total{${service},outcome="complete"}`), 1);
    t.is(sample(text, `cortexflow_tcp_open_connections{${out}}`), 1);
    t.is(sample(text, `cortexflow_tcp_sent_bytes_total{${service}}`), 13);
    t.is(sample(text, `cortexflow_tcp_received_bytes_total{${service}}`), 13);
    t.is(sample(text, `cortexflow_tcp_connect_failures_total{${service},reason="refused"}`), 1);
    t.is(sample(text, `cortexflow_tcp_connect_seconds_count{${out}}`), 2);
    t.is(sample(text, `cortexflow_tcp_connect_seconds_bucket{${out},le="+Inf"}`), 2);
    t.true((sample(text, `cortexflow_tcp_connect_seconds_sum{${out}}`) ?? 0) > 0);
    t.is(sample(text, `cortexflow_tcp_endpoint_connections_opened_total{${endpoint}}`), 2);
    t.is(sample(text, `cortexflow_tcp_endpoint_open_connections{${endpoint}}`), 1);
  }
});

test('the number of series does not follow the number of endpoints', async (t) => {
  const ports = Array.from({ length: 1_000 }, (_, index) => 20_000 + index);
  const group = groupOf(ports);
  const { forwarder } = startForwarder(t, { routes: always({ action: 'balance', group }) });
  const registry = new Registry();
  exposeForwarding(registry, forwarder);
  forwarder.serviceUse(group.service.key);
  forwarder.balancer.pick(group, { clientAddress: '', exclude: new Set() }, 0);
  const lines = (await registry.metrics()).split('\n');
  const series = lines.filter((line) => line.startsWith('cortexflow_tcp_endpoint_connections_opened_total{'));
  t.is(series.length, 101);
  t.true(series.some((line) => line.includes('endpoint="other"')));
});

test('the OpenMetrics format: names end as they should', async (t) => {
  const { forwarder } = startForwarder(t, { routes: balanceOver([1]) });
  const registry = new Registry<RegistryContentType>();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  exposeForwarding(registry, forwarder);
  forwarder.serviceUse('demo/hello').opened();
  const text = await registry.metrics();
  t.regex(text, /^# TYPE cortexflow_tcp_connections_opened counter$/m);
  t.regex(text, /^cortexflow_tcp_connections_opened_total\{direction="outbound",service="demo\/hello"\} 1$/m);
  t.regex(text, /^# TYPE cortexflow_tcp_connect_seconds histogram$/m);
});
