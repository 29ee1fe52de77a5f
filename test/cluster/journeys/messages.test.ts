/** Messages between pods, from a shell beside the sidecar as people send them. */
import type { ExecutionContext } from 'ava';
import { sidecarLog } from '../journey/asking.ts';
import { journeys, Stage } from '../journey/journey.ts';
import { APP_PORT, pod, service } from '../journey/objects.ts';

const journey = journeys({ name: 'messages' });

/** Where messages go whose Service is named without a namespace; the mesh's own programs are there, too. */
const NAMESPACE = 'cortexflow';
const PORT = 5054;
const RECEIVED = 'eyJzdGF0dXMiOiJyZWNlaXZlZCJ9';
const VERBATIM = String.raw`printf "{\"service\":\"test-proxy2.cortexflow\",\"direction\":\"Incoming\",\"payload\":\"eyJwYXlsb2FkIjogIkhlbGxvIGZyb20gcHJveHktc2lkZWNhciJ9\"}\n" | nc -w3 test-proxy2 5054`;

interface Reply {
  readonly payload: string;
  readonly service: string;
  readonly direction: string;
}

const DELIVERS = { 'cortexflow.io/deliver-messages-to': `${APP_PORT}/?token=heard` };

/** Three pods that take messages, on two nodes, each with a Service; gone with the test. */
async function talkers(t: ExecutionContext, { cluster }: Stage): Promise<Stage> {
  const stage = new Stage(cluster, NAMESPACE);
  const names = ['test-proxy', 'test-proxy2', 'test-proxy3'];
  const objects = names.flatMap((name) => [`pod/${name}`, `service/${name}`]);
  const remove = (): Promise<unknown> =>
    stage.kubectl(['delete', ...objects, '--ignore-not-found', '--timeout=300s']);
  await remove();
  t.teardown(async () => void (await remove()));
  await stage.apply(
    pod({ name: 'test-proxy', node: 'node-a' }),
    pod({ name: 'test-proxy2', node: 'node-b' }),
    pod({ name: 'test-proxy3', node: 'node-b', annotations: DELIVERS }),
    ...names.map((name) => service({ name, port: PORT })),
  );
  const pods = names.map((name) => `pod/${name}`);
  await stage.kubectl(['wait', ...pods, '--for=condition=Ready', '--timeout=300s']);
  return stage;
}

/** Beside the sidecar of `test-proxy`: what the shell printed. */
async function shell({ cluster, namespace }: Stage, script: string): Promise<string> {
  const where = 'test-proxy/proxy-sidecar';
  const { code, stdout, stderr } = await cluster.exec(namespace, where, ['sh', '-c', script]);
  if (code !== 0) throw new Error(`The shell of test-proxy ended with ${code}: ${stderr}`);
  return stdout;
}

async function send(stage: Stage, host: string, ...lines: readonly object[]): Promise<Reply[]> {
  const text = lines.map((line) => JSON.stringify(line)).join('\n');
  const printed = await shell(stage, `printf '%s\\n' '${text}' | nc -w3 ${host} ${PORT}`);
  return printed
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Reply);
}

function message(to: string, payload: string): object {
  return { service: to, direction: 'Incoming', payload: Buffer.from(payload).toString('base64') };
}

function textOf({ payload }: Reply): string {
  return Buffer.from(payload, 'base64').toString();
}

journey('messages are received, forwarded, delivered to an application, and refused', async (t, stage) => {
  const there = await talkers(t, stage);
  await assertReceived(t, there);
  await assertForwarded(t, there);
  await assertDelivered(t, there);
  await assertRefused(t, there);
});

/** From one sidecar to another, whose log says so. */
async function assertReceived(t: ExecutionContext, there: Stage): Promise<void> {
  t.is(
    (await shell(there, VERBATIM)).trim(),
    `{"payload":"${RECEIVED}","service":"test-proxy2.cortexflow","direction":"Outcoming"}`,
  );
  const taker = await there.pod('test-proxy2');
  const lines = await sidecarLog(there, taker.name);
  t.like(
    lines.find((line) => line.message === 'Received a message.'),
    { service: 'test-proxy2.cortexflow' },
  );
  t.is(await receivedBy(there, 'test-proxy2'), 1);
}

/** A message for another Service, to a sidecar that serves it. */
async function assertForwarded(t: ExecutionContext, there: Stage): Promise<void> {
  const sender = await there.pod('test-proxy');
  const replies = await send(
    there,
    '127.0.0.1',
    message('test-proxy2', 'hello'),
    message('test-proxy', 'to myself'),
  );
  t.deepEqual(replies.map(textOf), ['{"status":"received"}', '{"status":"received"}']);
  t.is((await there.metrics(sender)).sum('cortexflow_messages_forwarded_total'), 1);
  t.is(await receivedBy(there, 'test-proxy2'), 2);
}

/** To a pod that says where it takes messages, whose answer comes back. */
async function assertDelivered(t: ExecutionContext, there: Stage): Promise<void> {
  for (const host of ['127.0.0.1', 'test-proxy3']) {
    const [reply] = await send(there, host, message('test-proxy3', 'hello'));
    t.like(JSON.parse(textOf(reply!)), { pod: 'test-proxy3', token: 'heard' });
  }
}

/** With what is wrong, and the next message is delivered. */
async function assertRefused(t: ExecutionContext, there: Stage): Promise<void> {
  const good = message('test-proxy2', 'hello');
  const replies = await send(
    there,
    'test-proxy2',
    { ...good, direction: 'Sideways' },
    good,
    message('nobody', 'hello'),
    good,
  );
  t.regex(textOf(replies[0]!), /Delivery failed: direction is/u);
  t.is(replies[1]!.payload, RECEIVED);
  t.regex(textOf(replies[2]!), /Delivery failed: Service cortexflow\/nobody is not in the mesh/u);
  t.is(replies[3]!.payload, RECEIVED);
}

async function receivedBy(stage: Stage, name: string): Promise<number> {
  return (await stage.metrics(await stage.pod(name))).sum('cortexflow_messages_total', {
    outcome: 'received',
  });
}
