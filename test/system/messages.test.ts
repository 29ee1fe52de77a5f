import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { whatIsMissing } from '../cluster/binaries.ts';
import { testThatNeeds } from '../cluster/requirement.ts';
import { Client, failureOf, type Reply, request, startWorkload, textOf } from '../message/harness.ts';
import { Folder } from './folder.ts';
import { type Program, startControlPlane, startSidecar } from './programs.ts';

// The programs as people run them, outside of Kubernetes, and messages from a shell and from a program.

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: hello, namespace: demo }
spec:
  ports: [{ name: http, port: 80 }]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: hello-1
  namespace: demo
  labels: { kubernetes.io/service-name: hello }
addressType: IPv4
ports: [{ name: http, port: 8080 }]
endpoints: [{ addresses: [127.0.0.1], conditions: { ready: true } }]
`;

interface Running {
  readonly sidecar: Program;
  readonly port: number;
}

async function startMesh(
  t: ExecutionContext,
  environment: Readonly<Record<string, string>> = {},
): Promise<Running> {
  const folder = new Folder(t);
  folder.write('hello.yaml', SERVICE);
  const { xds } = await startControlPlane(t, { CORTEXFLOW_DIRECTORY: folder.path }).serving();
  const sidecar = startSidecar(t, {
    CORTEXFLOW_CONTROL_PLANE: String(xds),
    CORTEXFLOW_MESSAGES_LISTEN: '127.0.0.1:0',
    ...environment,
  });
  const { messages } = await sidecar.serving();
  return { sidecar, port: Number((messages as string[])[0]?.split(':')[1]) };
}

function clientOf(t: ExecutionContext, port: number): Client {
  const client = new Client(connect({ host: '127.0.0.1', port, allowHalfOpen: true }));
  t.teardown(() => client.socket.destroy());
  return client;
}

test('a program sends messages to a workload, and learns of what is wrong with one', async (t) => {
  const workload = await startWorkload(t, (body, response) => response.end(`heard ${body.toString()}`));
  const { port, sidecar } = await startMesh(t, {
    CORTEXFLOW_MESSAGES_DELIVER_TO: workload.url,
    CORTEXFLOW_MESSAGES_MAX_CONNECTIONS: '7',
    CORTEXFLOW_MAX_CONNECTIONS: '9',
  });
  const client = clientOf(t, port);
  t.is(textOf(await client.ask(request('you'))), 'heard you');
  t.regex(
    failureOf(await client.ask(request('you', 'nobody.demo'))),
    /^Service demo\/nobody is not in the mesh/u,
  );
  await sidecar.line(({ reason }) => reason === 'unknown-service');
  const { bootstrap, limits, messages } = (await (
    await fetch(`http://${String((await sidecar.serving())['admin'])}/config`)
  ).json()) as {
    bootstrap: { messages: { deliverTo: string } };
    limits: { maxConnections: number };
    messages: { listening: string[] };
  };
  t.is(bootstrap.messages.deliverTo, workload.url);
  t.deepEqual(messages.listening, [`127.0.0.1:${port}`]);
  t.is(limits.maxConnections, 9);
  t.like(messages, {
    limits: { maxConnections: 7, messagesPerSecond: 10_000 },
    openConnections: { inbound: 1, outbound: undefined },
    heldBytes: undefined,
    outcomes: { delivered: 1, 'unknown-service': 1 },
  });
  client.socket.end();
  t.is(await client.ending, 'end');
  t.is(await sidecar.end('SIGTERM'), 0);
});

test('without a control plane a message fails as soon as that is known', async (t) => {
  const sidecar = startSidecar(t, {
    CORTEXFLOW_CONTROL_PLANE: '127.0.0.1:1',
    CORTEXFLOW_MESSAGES_LISTEN: '127.0.0.1:0',
    CORTEXFLOW_ENDPOINTS_WAIT_MS: '100',
  });
  const { messages } = await sidecar.serving();
  const client = clientOf(t, Number((messages as string[])[0]?.split(':')[1]));
  t.regex(
    failureOf(await client.ask(request('you'))),
    /^no control plane has told the endpoints of Service demo\/hello/u,
  );
});

test('an address that is taken already is named, and the sidecar does not start', async (t) => {
  const { port } = await startMesh(t);
  const other = startSidecar(t, { CORTEXFLOW_MESSAGES_LISTEN: `127.0.0.1:${port}` });
  t.is(await other.exited(), 1);
  t.regex(other.text, new RegExp(`Cannot take messages on 127\\.0\\.0\\.1:${port} \\(EADDRINUSE\\)`, 'u'));
});

testThatNeeds(whatIsMissing([], ['nc']), test)('a shell sends one with nc', async (t) => {
  const { port } = await startMesh(t);
  const payload = 'eyJwYXlsb2FkIjogIkhlbGxvIGZyb20gcHJveHktc2lkZWNhciJ9';
  const script = String.raw`printf "{\"service\":\"hello.demo\",\"direction\":\"Incoming\",\"payload\":\"${payload}\"}\n" | nc -w1 127.0.0.1 ${port}`;
  const { stdout } = await promisify(execFile)('sh', ['-c', script]);
  const reply: Reply = {
    payload: 'eyJzdGF0dXMiOiJyZWNlaXZlZCJ9',
    service: 'hello.demo',
    direction: 'Outcoming',
  };
  t.is(stdout, `${JSON.stringify(reply)}\n`);
});
