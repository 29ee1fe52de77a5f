import test from 'ava';
import { type Reply, request, textOf } from '../message/harness.ts';
import { Mesh } from './mesh.ts';
import type { Pod } from './pod.ts';
import { skipped } from './skipped.ts';

// Messages to the port of the sidecar that connections are redirected to, from wherever they come.

const DELIVERED = 'cortexflow_messages_total{outcome="delivered"}';
const RECEIVED = 'cortexflow_messages_total{outcome="received"}';
const ACKNOWLEDGED = '{"status":"received"}';

async function ask(from: Pod, host: string, message: object): Promise<string> {
  const id = await from.ask('open', { host, port: 5054 });
  const reply = JSON.parse(await from.ask('say', { id, text: `${JSON.stringify(message)}\n` })) as Reply;
  await from.ask('close', { id });
  return textOf(reply);
}

if (!skipped(test)) {
  let mesh: Mesh;
  let one: Pod;
  let two: Pod;
  let outside: Pod;

  test.before(async () => {
    mesh = await Mesh.create('talk');
    [one, two, outside] = await Promise.all([mesh.pod('one'), mesh.pod('two'), mesh.pod('outside')]);
    const port = { port: 5054, targetPort: 5054, inMesh: true };
    mesh.write(
      { name: 'first', clusterIps: ['10.96.0.21', 'fd96::21'], pods: [one], ...port },
      { name: 'second', clusterIps: ['10.96.0.22', 'fd96::22'], pods: [two], ...port },
      { name: 'apart', clusterIps: ['10.96.0.23', 'fd96::23'], pods: [outside], ...port, inMesh: false },
    );
    await mesh.startControlPlane();
    await one.inject(mesh.bootstrap());
    await two.ask('serve', { kind: 'name', port: 7000, host: '127.0.0.1', name: 'two took it at' });
    await two.inject(mesh.bootstrap({ messages: { deliverTo: 'http://127.0.0.1:7000/messages' } }));
  });

  test.after.always(() => mesh.remove());

  test.serial('from outside of the pod and from within, on both families', async (t) => {
    const before = await one.metric(RECEIVED);
    const own = request('hello', 'first.demo');
    t.is(await ask(outside, one.ipv4, own), ACKNOWLEDGED);
    t.is(await ask(outside, one.ipv6, own), ACKNOWLEDGED);
    t.is(await ask(one, '127.0.0.1', own), ACKNOWLEDGED);
    t.is(await ask(one, one.ipv6, own), ACKNOWLEDGED);
    t.is(await ask(two, one.ipv4, own), ACKNOWLEDGED);
    t.is(await one.metric(RECEIVED), before + 5);
  });

  test.serial('from the workload of another pod, to the address of the Service', async (t) => {
    t.is(await ask(two, '10.96.0.21', request('hello', 'first.demo')), ACKNOWLEDGED);
    t.is(await ask(two, 'fd96::21', request('hello', 'first.demo')), ACKNOWLEDGED);
  });

  test.serial('what is not this pod’s is forwarded to the sidecar of one whose it is', async (t) => {
    const before = [await one.metric(DELIVERED), await two.metric(DELIVERED)] as const;
    t.regex(await ask(outside, one.ipv4, request('hello', 'second.demo')), /^two took it at 127\.0\.0\.1/u);
    t.is(await one.metric(DELIVERED), before[0] + 1);
    t.is(await two.metric(DELIVERED), before[1] + 1);
    t.is(await one.metric('cortexflow_messages_forwarded_total'), 1);
    const { messages } = JSON.parse(await one.at.must('curl', '-s', 'http://127.0.0.1:5058/config')) as {
      messages: { listening: string[]; forwarded: number; outcomes: Record<string, number> };
    };
    t.is(messages.outcomes['delivered'], before[0] + 1);
    t.is(messages.forwarded, 1);
    t.deepEqual(messages.listening, ['0.0.0.0:5054', '[::]:5054']);
  });

  test.serial('pods without a sidecar take no messages, and it is said so', async (t) => {
    const answer = await ask(outside, one.ipv4, request('hello', 'apart.demo'));
    t.regex(
      answer,
      /^\{"error":"Delivery failed: Service demo\/apart has endpoints \(2\), and none has a sidecar/u,
    );
  });

  test.serial('what speaks something else is told what is wrong with each line, and HTTP once', async (t) => {
    const id = await outside.ask('open', { host: one.ipv4, port: 5054 });
    const reply = JSON.parse(await outside.ask('say', { id, text: 'hello\r\n' })) as Reply;
    t.regex(textOf(reply), /Delivery failed: the line is not a JSON object/u);
    const ending = outside.ask('ending', { id });
    const last = JSON.parse(await outside.ask('say', { id, text: 'GET / HTTP/1.1\r\n' })) as Reply;
    t.regex(textOf(last), /Delivery failed: this port does not speak HTTP/u);
    t.is(await ending, 'end');
  });

  test.serial('told to end, it answers what it has taken first', async (t) => {
    const three = await mesh.pod('three');
    const sidecar = await three.inject(mesh.bootstrap());
    const id = await outside.ask('open', { host: three.ipv4, port: 5054 });
    t.is(textOf(JSON.parse(await outside.ask('say', { id, text: '{\n' })) as Reply).slice(0, 9), '{"error":');
    const ending = outside.ask('ending', { id });
    t.is(await sidecar.end('SIGTERM'), 0);
    t.is(await ending, 'end');
  });
}
