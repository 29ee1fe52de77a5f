/** As many questions as a program can ask that measures DNS servers: each has its answer. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { whatIsMissing } from '../cluster/binaries.ts';
import { testThatNeeds } from '../cluster/requirement.ts';
import { addressAnswer } from './name-server.ts';
import { startProxy } from './proxy.ts';

const testWithDnsperf = testThatNeeds(whatIsMissing([], ['dnsperf']), test);

/** Of the table, of a headless Service, that are not there, and of others: some kept and some each asked once. */
function namesOf(count: number): readonly string[] {
  const zone = 'demo.svc.cluster.local';
  return Array.from({ length: count }, (_, index) => [
    `hello.${zone} A`,
    `pods.${zone} A`,
    `gone-${index % 500}.${zone} AAAA`,
    `kept-${index % 100}.example.com A`,
    `once-${index}.example.com A`,
  ]).flat();
}

for (const transport of ['udp', 'tcp'] as const) {
  testWithDnsperf(`no question by ${transport} is without an answer`, async (t) => {
    const { port, proxy } = await startProxy(t, (query) => [addressAnswer(query)]);
    const folder = mkdtempSync(join(tmpdir(), 'cortexflow-dnsperf-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    const names = namesOf(transport === 'udp' ? 10_000 : 1_000);
    const file = join(folder, 'names');
    writeFileSync(file, `${names.join('\n')}\n`);

    // Each question once, from eight sockets, 64 under way at one time.
    const load = ['-d', file, '-n', '1', '-c', '8', '-q', '64'];
    const where = ['-s', '127.0.0.1', '-p', String(port), '-m', transport];
    const { stdout } = await promisify(execFile)('dnsperf', [...where, ...load]);
    const countOf = (what: string) => Number(new RegExp(`${what}:? +(\\d+)`, 'u').exec(stdout)?.[1]);
    t.is(countOf('Queries sent'), names.length, stdout);
    t.is(countOf('Queries completed'), names.length, stdout);
    t.is(countOf('Queries lost'), 0, stdout);
    t.is(countOf('NXDOMAIN'), names.length / 5, stdout);
    t.is(countOf('NOERROR'), (names.length / 5) * 4, stdout);
    const counted = [...proxy.counters.requests].reduce((sum, { value }) => sum + value, 0);
    t.is(counted, names.length);
  });
}
