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

/** Two pods that take messages, on two nodes, each with a Service; gone with the test. */
async function talkers(
  t: ExecutionContext,
  { cluster }: Stage,
  annotations: Readonly<Record<string, string>> = {},
): Promise<Stage> {
  const stage = new Stage(cluster, NAMESPACE);
  const names = ['test-proxy', 'test-proxy2'];
  const remove = (): Promise<unknown> =>
    stage.kubectl([
      'delete',
      ...names.flatMap((name) => [`pod/${name}`, `service/${name}`]),
      '--ignore-not-found',
    ]);
  await remove();
  t.teardown(async () => void (await remove()));
  await stage.apply(
    pod({ name: 'test-proxy', node: 'node-a' }),
    pod({ name: 'test-proxy2', node: 'node-b', annotations }),
    ...names.map((name) => service({ name, port: PORT })),
  );
  await stage.kubectl([
    'wait',
    ...names.map((name) => `pod/${name}`),
    '--for=condition=Ready',
    '--timeout=300s',
  ]);
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

journey('a message from one sidecar to another is received, and its log says so', async (t, stage) => {
  const there = await talkers(t, stage);
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
  t.is((await there.metrics(taker)).sum('cortexflow_messages_total', { outcome: 'received' }), 1);
});

journey('a message for another Service is forwarded to a sidecar that serves it', async (t, stage) => {
  const there = await talkers(t, stage);
  const [sender, taker] = [await there.pod('test-proxy'), await there.pod('test-proxy2')];
  const replies = await send(
    there,
    '127.0.0.1',
    message('test-proxy2', 'hello'),
    message('test-proxy', 'to myself'),
  );
  t.deepEqual(replies.map(textOf), ['{"status":"received"}', '{"status":"received"}']);
  t.is((await there.metrics(sender)).sum('cortexflow_messages_forwarded_total'), 1);
  t.is((await there.metrics(taker)).sum('cortexflow_messages_total', { outcome: 'received' }), 1);
});

journey('a pod that says where takes messages itself, and its answer comes back', async (t, stage) => {
  const there = await talkers(t, stage, { 'cortexflow.io/deliver-messages-to': `${APP_PORT}/?token=heard` });
  for (const host of ['127.0.0.1', 'test-proxy2']) {
    const [reply] = await send(there, host, message('test-proxy2', 'hello'));
    t.like(JSON.parse(textOf(reply!)), { pod: 'test-proxy2', token: 'heard' });
  }
});

journey('what is wrong with a message is said, and the next one is delivered', async (t, stage) => {
  const there = await talkers(t, stage);
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
});
