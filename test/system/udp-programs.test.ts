import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createSocket, type Socket } from 'node:dgram';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { whatIsMissing } from '../cluster/binaries.ts';
import { testThatNeeds } from '../cluster/requirement.ts';
import { startCoreDns } from '../dns/coredns.ts';
import { dig } from '../dns/dig.ts';
import { Folder } from './folder.ts';
import { claimPort, startControlPlane, startSidecar } from './programs.ts';
import { until } from '../until.ts';

// UDP upstreams between programs that other people wrote, and a stream such as calls and films are made of.

const run = promisify(execFile);

interface Mesh {
  /** Of the admin page. */
  readonly admin: string;
  readonly port: number;
}

/** A Service with these ports behind it on 127.0.0.1, by UDP and TCP, and a sidecar that listens for both on one port. */
async function startMesh(t: ExecutionContext, ports: readonly number[]): Promise<Mesh> {
  const folder = new Folder(t);
  folder.write(
    'service.yaml',
    `
apiVersion: v1
kind: Service
metadata: { name: echo, namespace: demo }
spec:
  ports: [{ name: u, port: 7, protocol: UDP }, { name: t, port: 7 }]
`,
  );
  for (const port of ports) {
    folder.write(
      `${port}.yaml`,
      `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: echo-${port}, namespace: demo, labels: { kubernetes.io/service-name: echo } }
addressType: IPv4
ports: [{ name: u, port: ${port}, protocol: UDP }, { name: t, port: ${port} }]
endpoints: [{ addresses: [127.0.0.1] }]
`,
    );
  }
  const { xds } = await startControlPlane(t, { CORTEXFLOW_DIRECTORY: folder.path }).serving();
  const port = await claimPort();
  const sidecar = startSidecar(t, {
    CORTEXFLOW_CONTROL_PLANE: String(xds),
    CORTEXFLOW_UPSTREAMS: `127.0.0.1:${port}/udp=echo.demo:7,127.0.0.1:${port}=echo.demo:7`,
  });
  const { admin } = await sidecar.serving();
  await until(
    'the sidecar is ready',
    () => fetch(`http://${String(admin)}/readyz`),
    ({ ok }) => ok,
  );
  return { admin: String(admin), port };
}

function corefile(port: number): string {
  return `.:${port} {
  bind 127.0.0.1
  template IN A www.example.com {
    answer "{{ .Name }} 30 IN A 192.0.2.2"
  }
}`;
}

const noServers = whatIsMissing(['coredns'], ['dig', 'dnsmasq']);
const noIperf = whatIsMissing([], ['iperf3']);

testThatNeeds(noServers, test)('dig asks dnsmasq and CoreDNS behind one upstream', async (t) => {
  const dnsmasqPort = await claimPort();
  const dnsmasq = spawn(
    'dnsmasq',
    [
      ['--no-daemon', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--pid-file=', '--user='],
      [`--port=${dnsmasqPort}`, '--listen-address=127.0.0.1', '--bind-interfaces'],
      ['--address=/www.example.com/192.0.2.1'],
    ].flat(),
    { stdio: 'ignore' },
  );
  t.teardown(() => dnsmasq.kill('SIGKILL'));
  await until(
    'an answer of dnsmasq for www.example.com',
    () => dig(dnsmasqPort, 'www.example.com').catch(() => undefined),
    (answer) => answer?.status === 'NOERROR',
  );
  const coreDns = await startCoreDns(t, corefile);
  const { port: upstream } = await startMesh(t, [dnsmasqPort, coreDns.port]);

  // Each dig is another client, so another flow: in the end both have been asked.
  const answers = new Set<string>();
  while (answers.size < 2) {
    const { status, answer } = await dig(upstream, 'www.example.com', '+notcp');
    t.is(status, 'NOERROR');
    answers.add(answer.join());
  }
  t.deepEqual([...answers].toSorted(), ['www.example.com. A 192.0.2.1', 'www.example.com. A 192.0.2.2']);
});

testThatNeeds(noIperf, test)('iperf3 loses nothing, and nothing comes out of order', async (t) => {
  const port = await claimPort();
  const server = spawn('iperf3', ['-s', '-B', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  t.teardown(() => server.kill('SIGKILL'));
  const { port: upstream } = await startMesh(t, [port]);
  // It speaks TCP with its server about the test: on the same port, and so through the other upstream.
  // So slow that the kernel has room for what comes while a busy machine gives iperf3 or the sidecar no turn.
  const args = ['-c', '127.0.0.1', '-p', String(upstream), '-u', '-b', '1M', '-l', '1200', '-t', '5', '-J'];
  const ask = () => run('iperf3', args, { maxBuffer: 1 << 26 }).catch(() => undefined);
  const { stdout = '' } =
    (await until('a run of iperf3 that succeeds', ask, (answer) => answer !== undefined)) ?? {};
  const { end } = JSON.parse(stdout) as {
    end: {
      sum: { packets: number; lost_packets: number };
      streams: { udp: { out_of_order: number } }[];
    };
  };
  t.true(end.sum.packets >= 400, stdout);
  t.is(end.sum.lost_packets, 0);
  t.deepEqual(
    end.streams.map(({ udp }) => udp.out_of_order),
    [0],
  );
});

const STREAMS = 20;
const PACKETS = 150;
/** Of each stream on their way: as many as one socket holds of all, whoever a busy machine gives no turn. */
const WINDOW = 4;

test('streams of numbered packets arrive whole, each once, in order and at one endpoint', async (t) => {
  const backends = await Promise.all([receiver(t), receiver(t), receiver(t)]);
  const { port: upstream, admin } = await startMesh(
    t,
    backends.map(({ port }) => port),
  );
  const senders = await Promise.all(Array.from({ length: STREAMS }, () => socket(t)));
  const echoed = senders.map((sender, stream) => {
    const numbers: number[] = [];
    const send = (number: number): void => {
      if (number < PACKETS) sender.send(packet(stream, number), upstream, '127.0.0.1');
    };
    sender.on('message', (bytes) => {
      numbers.push(bytes.readUInt32BE(4));
      send(numbers.length - 1 + WINDOW);
    });
    for (let number = 0; number < WINDOW; number++) send(number);
    return numbers;
  });
  await until(
    'all packets echoed',
    () => Promise.resolve(echoed.reduce((sum, numbers) => sum + numbers.length, 0)),
    (count) => count >= STREAMS * PACKETS,
  );

  const inOrder = Array.from({ length: PACKETS }, (_, number) => number);
  t.true(echoed.every((numbers) => String(numbers) === String(inOrder)));
  const sent = Array.from({ length: STREAMS }, (_, stream) =>
    inOrder.map((number) => packet(stream, number)),
  );
  const heard = backends.flatMap(({ streams }) => Array.from(streams));
  t.deepEqual(
    heard.map(([stream]) => stream).toSorted((a, b) => a - b),
    Array.from({ length: STREAMS }, (_, stream) => stream),
  );
  for (const [stream, packets] of heard) {
    t.true(Buffer.concat(packets).equals(Buffer.concat(sent[stream] ?? [])));
    t.deepEqual(
      packets.map(({ length }) => length),
      sent[stream]?.map(({ length }) => length),
    );
  }
  const page = await (await fetch(`http://${admin}/metrics`)).text();
  t.regex(page, /^cortexflow_udp_sent_datagrams_total\{service="demo\/echo"\} 3000$/mu);
  t.notRegex(page, /^cortexflow_udp_datagrams_dropped_total\{/mu);
});

/** Sizes go from those of sound to those of a picture. */
function packet(stream: number, number: number): Buffer {
  const bytes = Buffer.alloc(172 + ((number * 257 + stream * 61) % 1_029), number);
  bytes.writeUInt32BE(stream, 0);
  bytes.writeUInt32BE(number, 4);
  return bytes;
}

/** Answers each packet with its beginning, and keeps all by stream. */
async function receiver(t: ExecutionContext) {
  const server = await socket(t);
  const streams = new Map<number, Buffer[]>();
  server.on('message', (bytes, from) => {
    const stream = bytes.readUInt32BE(0);
    streams.set(stream, [...(streams.get(stream) ?? []), bytes]);
    server.send(bytes.subarray(0, 8), from.port, from.address);
  });
  return { port: server.address().port, streams };
}

async function socket(t: ExecutionContext): Promise<Socket> {
  const opened = createSocket('udp4');
  opened.bind(0, '127.0.0.1');
  await once(opened, 'listening');
  t.teardown(() => opened.close());
  return opened;
}
