/** What programs in a pod are answered that know nothing of the sidecar, whichever resolver they have. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { type Binary, binaryPath, type DebianProgram, whatIsMissing, whyNoGo } from '../cluster/binaries.ts';
import { Child } from '../cluster/child.ts';
import { testThatNeeds } from '../cluster/requirement.ts';
import { Mesh } from '../interception/mesh.ts';
import type { Pod } from '../interception/pod.ts';
import { skipped } from '../interception/skipped.ts';
import { until } from '../until.ts';
import { OUTSIDE } from './coredns.ts';

/** Nobody is there: only what is redirected is answered. */
const NAME_SERVER = '10.255.255.10';
const DNS_BY_TABLE = 'cortexflow_dns_requests_total{type="A",answered_by="table",rcode="NOERROR"}';

const GO = `package main
import ("context"; "fmt"; "net"; "os"; "sort"; "strings")
func main() {
  found, err := (&net.Resolver{PreferGo: true}).LookupHost(context.Background(), os.Args[1])
  if err != nil { fmt.Println(err); os.Exit(1) }
  sort.Strings(found)
  fmt.Println(strings.Join(found, " "))
}`;

const C = `#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
int main(int count, char **words) {
  struct addrinfo wanted = { .ai_socktype = SOCK_STREAM }, *found;
  int error = getaddrinfo(words[1], 0, &wanted, &found);
  if (error) return puts(gai_strerror(error)), 1;
  for (; found; found = found->ai_next) {
    char text[NI_MAXHOST];
    getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, 0, 0, NI_NUMERICHOST);
    puts(text);
  }
}`;

const NODE = `const dns = require('node:dns').promises;
Promise.all([dns.resolve4(process.argv[1] + '.demo.svc.cluster.local'), dns.lookup(process.argv[1], 4)])
  .then(([all, { address }]) => console.log(...all, address));`;

function testWith(program: DebianProgram, ...binaries: readonly Binary[]): ReturnType<typeof testThatNeeds> {
  return testThatNeeds(whatIsMissing(binaries, [program]), test.serial);
}

/** Names that the search list makes, and that are not the table's to tell of, are asked of another DNS server. */
const testWithGo = testThatNeeds(whyNoGo() ?? whatIsMissing(['coredns'], []), test.serial);

if (!skipped(test)) {
  const folder = mkdtempSync(join(tmpdir(), 'cortexflow-dns-pod-'));
  let mesh: Mesh;
  let client: Pod;
  let coreDns: Child | undefined;

  test.before(async () => {
    mesh = await Mesh.create('dns');
    client = await mesh.pod('client');
    const { world } = mesh.network;
    mesh.write(
      { name: 'hello', clusterIps: ['10.96.0.10', 'fd96::10'], port: 80, targetPort: 8080, pods: [client] },
      { name: 'pods', clusterIps: ['None'], port: 80, targetPort: 8080, pods: [client] },
    );
    writeFileSync(join(folder, 'Corefile'), `.:53 {\n  bind ${world.ipv4}${OUTSIDE}\n}\n`);
    if (whatIsMissing(['coredns'], []) === undefined)
      coreDns = new Child('coredns', [...world.entering, binaryPath('coredns')], folder);
    writeFileSync(
      join(folder, 'resolv.conf'),
      `search demo.svc.cluster.local svc.cluster.local cluster.local\nnameserver ${NAME_SERVER}\noptions ndots:5\n`,
    );
    await mesh.startControlPlane();
    await client.inject(
      mesh.bootstrap({ dns: { upstreams: [`${world.ipv4}:53`], clusterDomain: 'cluster.local' } }),
    );
  });

  test.after.always(async () => {
    await coreDns?.kill();
    await mesh.remove();
    rmSync(folder, { recursive: true });
  });

  /** With the pod's resolv.conf. */
  const inPod = async (...words: readonly string[]): Promise<string> => {
    const mount = `mount --bind ${folder}/resolv.conf /etc/resolv.conf && exec "$@"`;
    const { stdout, stderr } = await client.at.run('unshare', '--mount', 'sh', '-c', mount, 'sh', ...words);
    return `${stdout}${stderr}`;
  };

  const dig = async (...words: readonly string[]): Promise<string> =>
    (await inPod('dig', '+short', '+nocookie', ...words)).trim();

  for (const [to, transport] of [
    [NAME_SERVER, '+notcp'],
    [NAME_SERVER, '+tcp'],
    ['169.254.20.10', '+notcp'],
    ['2001:db8::53', '+notcp'],
    ['2001:db8::53', '+tcp'],
  ] as const) {
    testWith('dig')(`whatever goes to port 53 is answered by the sidecar: ${to} ${transport}`, async (t) => {
      t.is(await dig(`@${to}`, transport, 'hello.demo.svc.cluster.local'), '10.96.0.10');
    });
  }

  test.serial('the C library, by the search list', async (t) => {
    const before = await client.metric(DNS_BY_TABLE);
    t.regex(
      await inPod('getent', 'ahostsv4', 'hello'),
      /^10\.96\.0\.10 +STREAM hello\.demo\.svc\.cluster\.local/u,
    );
    t.regex(await inPod('getent', 'ahostsv6', 'hello.demo'), /^fd96::10 /u);
    t.regex(await inPod('getent', 'hosts', '10.96.0.10'), /hello\.demo\.svc\.cluster\.local/u);
    t.is(await inPod('getent', 'ahosts', 'gone'), '');
    t.true((await client.metric(DNS_BY_TABLE)) > before);
  });

  test.serial("Node's, both of them", async (t) => {
    t.is(await inPod(process.execPath, '-e', NODE, 'hello'), '10.96.0.10 10.96.0.10\n');
    t.is(await inPod(process.execPath, '-e', NODE, 'pods'), `${client.ipv4} ${client.ipv4}\n`);
  });

  testWith('musl-gcc', 'coredns')("musl's, which asks for both families at once", async (t) => {
    const program = join(folder, 'lookup-c');
    const source = join(folder, 'main.c');
    writeFileSync(source, C);
    await promisify(execFile)('musl-gcc', ['-static', '-o', program, source]);
    // Which family comes first depends on the routes.
    const lookup = async (name: string) =>
      (await inPod('sh', '-c', '"$0" "$1" || true', program, name)).trim().split('\n').toSorted();
    t.deepEqual(await lookup('hello'), ['10.96.0.10', 'fd96::10']);
    t.deepEqual(await lookup('hello.demo'), ['10.96.0.10', 'fd96::10']);
    t.deepEqual(await lookup('hello.demo.svc.cluster.local'), ['10.96.0.10', 'fd96::10']);
    t.true((await lookup('pods')).includes(client.ipv4));
    const [gone] = await lookup('gone.demo.svc.cluster.local.');
    t.regex(gone ?? '', /Name does not resolve/u);
  });

  const kdig = async (...words: readonly string[]) =>
    (await inPod('kdig', '+short', `@${NAME_SERVER}`, ...words)).trim();

  testWith('kdig')("Knot's, by UDP and TCP", async (t) => {
    for (const transport of ['+notcp', '+tcp']) {
      t.is(await kdig(transport, 'hello.demo.svc.cluster.local', 'A'), '10.96.0.10');
      t.is(await kdig(transport, 'hello.demo.svc.cluster.local', 'AAAA'), 'fd96::10');
      t.is(
        await kdig(transport, '+edns', '+bufsize=1232', '-x', '10.96.0.10'),
        'hello.demo.svc.cluster.local.',
      );
    }
  });

  testWithGo("Go's", async (t) => {
    const program = join(folder, 'lookup');
    const source = join(folder, 'main.go');
    writeFileSync(source, GO);
    await promisify(execFile)('go', ['build', '-o', program, source]);
    t.is(await inPod(program, 'hello.demo'), '10.96.0.10 fd96::10\n');
    t.regex(await inPod(program, 'gone.demo'), /no such host/u);
  });

  testWith('dig', 'coredns')(
    'names outside of the cluster, until its DNS is stopped, and again when it is back',
    async (t) => {
      const found = () => dig('www.example.com', 'AAAA');
      await until('the AAAA record of www.example.com', found, (text) => text === '2001:db8::7');
      await coreDns?.kill();
      t.is(await found(), '2001:db8::7', 'it is kept');
      t.is(await dig('+time=6', 'other.example.com'), '');
      t.is(await dig('hello.demo.svc.cluster.local'), '10.96.0.10');
      const { world } = mesh.network;
      coreDns = new Child('coredns', [...world.entering, binaryPath('coredns')], folder);
      await until(
        'NXDOMAIN for other.example.com',
        () => inPod('dig', '+tries=1', 'other.example.com'),
        (text) => text.includes('NXDOMAIN'),
      );
      t.pass();
    },
  );

  testWith('dig', 'coredns')(
    "names outside of the cluster, after the pod's address has changed",
    async (t) => {
      const asked = Array.from({ length: 40 }, (_, index) => `${index}.example.com`);
      const statuses = async (cookie: string) =>
        (await inPod('dig', '+tries=1', `+cookie=${cookie}`, ...asked)).match(/status: \w+/gu);
      const all = asked.map(() => 'status: NXDOMAIN');
      // As many as it takes to have used each of the sockets.
      t.deepEqual(await statuses('0123456789abcdef'), all);
      const next = client.ipv4.replace(/\d+$/u, '200');
      await client.at.must('ip', 'address', 'delete', `${client.ipv4}/16`, 'dev', 'eth0');
      await client.at.must('ip', 'address', 'add', `${next}/16`, 'dev', 'eth0');
      await client.at.must('ip', 'route', 'replace', 'default', 'via', mesh.network.world.ipv4);
      await inPod('dig', '+tries=1', '+time=6', 'first.example.com');
      t.deepEqual(await statuses('123456789abcdef0'), all);
    },
  );
}
