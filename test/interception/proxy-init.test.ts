import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parseCidr } from '../../wire/cidr.ts';
import { renderRuleset, rulesetFor } from '../../sidecar/proxy-init/ruleset.ts';
import { differences } from '../../sidecar/proxy-init/verify.ts';
import { Mesh } from './mesh.ts';
import type { Pod } from './pod.ts';
import { skipped } from './skipped.ts';

// The init container with the nft and the kernel that there are.

/** Everything but the counters of handles, which differ from one time to the next. */
async function rules(pod: Pod): Promise<string> {
  return pod.at.must('nft', '--stateless', 'list', 'ruleset');
}

if (!skipped(test)) {
  let mesh: Mesh;
  let pod: Pod;
  let server: Pod;

  test.before(async () => {
    mesh = await Mesh.create('init');
    [pod, server] = await Promise.all([mesh.pod('pod'), mesh.pod('server')]);
    await server.ask('serve', { kind: 'greeting', port: 2525, name: 'server' });
    await server.ask('serve', { kind: 'echo', port: 7777 });
  });

  test.after.always(() => mesh.remove());

  test.serial('without the capability it says which, and changes nothing', async (t) => {
    const nobody = ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all'];
    const { code, stderr } = await pod.proxyInit(mesh.bootstrap(), nobody);
    t.is(code, 1);
    t.regex(stderr, /^Cannot intercept connections: nft may not change the rules.* capability NET_ADMIN/u);
    t.is(await rules(pod), '');
  });

  test.serial('where there is no nft it says so', async (t) => {
    // A mount namespace in which the folders of programs are empty.
    const hidden = ['unshare', '--mount', 'sh', '-c'];
    const hide = 'for folder in /usr/sbin /usr/local/sbin; do mount -t tmpfs none "$folder"; done; exec "$@"';
    const { code, stderr } = await pod.proxyInit(mesh.bootstrap(), [...hidden, hide, 'sh']);
    t.is(code, 1);
    t.regex(stderr, /^Cannot intercept connections: There is no program nft here: use the sidecar image/u);
  });

  test.serial('mistakes in the bootstrap are told as the sidecar tells them', async (t) => {
    const wrong = await pod.proxyInit({ interception: { outbound: { exclude: { ports: ['all'] } } } });
    t.is(wrong.code, 1);
    t.regex(wrong.stderr, /CORTEXFLOW_BOOTSTRAP interception\.outbound\.exclude\.ports\[0\] must be a port/u);
    const none = await pod.proxyInit({});
    t.is(none.code, 1);
    t.regex(none.stderr, /^The bootstrap has no interception/u);
  });

  test.serial('a connection that was open before goes on as it is', async (t) => {
    const id = await pod.ask('open', { host: server.ipv4, port: 2525 });
    t.is(await pod.ask('say', { id, text: '' }), '220 server ready\n');
    t.is((await pod.proxyInit(mesh.bootstrap())).code, 0);
    t.is(await pod.ask('say', { id, text: 'still me\n' }), '250 still me\n');
    await pod.ask('close', { id });
    await t.throwsAsync(pod.ask('open', { host: server.ipv4, port: 2525 }), { message: 'ECONNREFUSED' });
  });

  test.serial(
    'the rules for a kernel that cannot look up listeners are rules, too, and everything excluded',
    async (t) => {
      const all = {
        ports: [{ first: 1, last: 65_535 }],
        cidrs: ['0.0.0.0/0', '::/0'].map((text) => parseCidr(text)!),
      };
      const fallback = rulesetFor(
        { proxyUid: 2102, outbound: { port: 5054, exclude: all }, inbound: { port: 5056, exclude: all } },
        { findsListeners: false },
      );
      const folder = mkdtempSync(join(tmpdir(), 'cortexflow-rules-'));
      t.teardown(() => rmSync(folder, { recursive: true }));
      writeFileSync(join(folder, 'rules'), renderRuleset(fallback));
      const other = await mesh.pod('fallback');
      await other.at.must('nft', '--file', join(folder, 'rules'));
      t.deepEqual(
        differences(fallback, await other.at.must('nft', '--json', 'list', 'table', 'inet', 'cortexflow')),
        [],
      );
    },
  );

  test.serial('it sees a connection arrive on both families', async (t) => {
    const { code, stderr } = await pod.proxyInit(mesh.bootstrap());
    t.is(code, 0);
    t.like(JSON.parse(stderr), { outbound: 5054, inbound: 5056, tried: ['ipv4', 'ipv6'] });
  });

  test.serial('rules of somebody else that come first are found out', async (t) => {
    const intruder = await mesh.pod('intruder');
    await intruder.at.must('nft', 'add table inet other');
    const chain = 'add chain inet other first { type nat hook output priority -150; }';
    await intruder.at.must('nft', chain);
    await intruder.at.must('nft', 'add rule inet other first meta l4proto tcp redirect to :9');
    const { code, stderr } = await intruder.proxyInit(mesh.bootstrap());
    t.is(code, 1);
    t.regex(stderr, /^The rules are in place, and a connection was not redirected \(ipv4: /u);
  });

  test.serial('run again, under traffic, it comes to the same, and nothing is lost', async (t) => {
    const document = mesh.bootstrap({ controlPlane: { addresses: ['127.0.0.1:1'], waitMs: 1 } });
    await pod.inject(document);
    const before = await rules(pod);
    const id = await pod.ask('open', { host: server.ipv4, port: 7777 });
    const running = { stopped: false, opened: 1 };
    const failures: string[] = [];
    const traffic = async (): Promise<void> => {
      for (; !running.stopped; running.opened += 1) {
        const text = `${running.opened}`;
        if ((await pod.ask('say', { id, text })) !== text) failures.push('open');
        const other = await pod.ask('open', { host: server.ipv6, port: 7777 });
        if ((await pod.ask('say', { id: other, text: 'new' })) !== 'new') failures.push('new');
        await pod.ask('close', { id: other });
      }
    };
    const done = traffic();
    for (let time = 0; time < 5; time += 1) t.is((await pod.proxyInit(document)).code, 0);
    running.stopped = true;
    await done;
    t.deepEqual(failures, []);
    t.is(await rules(pod), before);
    t.true(running.opened > 5);
    const opened = 'cortexflow_tcp_connections_opened_total{direction="outbound",service="pass-through"}';
    t.is(await pod.metric(opened), running.opened, 'none went around the sidecar');
  });

  test.serial('a file of the bootstrap does as well', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'cortexflow-bootstrap-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'bootstrap.json');
    writeFileSync(file, JSON.stringify({ interception: { inbound: { port: 6000 } } }));
    const other = await mesh.pod('file');
    const { code } = await other.proxyInit({}, ['env', `CORTEXFLOW_BOOTSTRAP=${file}`]);
    t.is(code, 0);
    t.regex(await rules(other), /tcp dport \{ 5053-5058, 6000 \} return/u);
  });
}
