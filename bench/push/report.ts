import type { PushResult, RunResult } from './measure.ts';
import type { NamedResult, NamesResult } from './named.ts';
import type { Options } from './options.ts';

/** One line of the table: a number of each run, and how it is written. */
interface Metric<Run> {
  readonly key: string;
  readonly label: string;
  readonly of: (run: Run) => number;
  readonly digits: number;
}

const MB = 1e6;
const PUSH_METRICS: readonly Metric<RunResult>[] = [
  ...pushMetrics('push', 'push', (run) => run.push),
  ...pushMetrics('disturbed', 'with a stopped and a slow reader', (run) => run.disturbed),
  metric('rssPerStream', 'server RSS per stream, KB', (run) => run.rssBytesPerStream / 1e3, 0),
  metric('stormSeconds', 'storm: until all have all, s', (run) => run.storm.seconds, 2),
  metric('stormCpu', 'storm: server CPU, s', (run) => run.storm.cpuSeconds, 2),
  metric('stormPeak', 'storm: peak RSS, MB', (run) => run.storm.peakRssBytes / MB, 0),
  metric('stormRefusals', 'storm: refusals', (run) => run.storm.refusals.length, 0),
  metric('reconnectBytes', 'reconnect: resource bytes', (run) => run.reconnect.resourceBytes, 0),
  metric('reconnectRefusals', 'reconnect: refusals', (run) => run.reconnect.refusals.length, 0),
  metric('reconnectCpu', 'reconnect: server CPU, s', (run) => run.reconnect.cpuSeconds, 2),
  metric('lost', 'streams lost', (run) => run.lost, 0),
];

const NAMED_METRICS: readonly Metric<NamedResult>[] = [
  ...namesMetrics('same', 'same names', (run) => run.same),
  ...namesMetrics('sampled', 'names at random', (run) => run.sampled),
];

export function reportPush(
  results: ReadonlyMap<string, readonly RunResult[]>,
  options: Options,
  machine: string,
): string {
  const { streams, size, changes, pause, loads } = options;
  const workload = `${streams} streams, ${size.services} Services of ${size.endpointsPerService} endpoints, ${changes} changes with ${pause} ms between, ${loads} load process(es)`;
  return report(results, { options, machine, workload, metrics: PUSH_METRICS, refusals: refusalsOfPush });
}

export function reportNamed(
  results: ReadonlyMap<string, readonly NamedResult[]>,
  options: Options,
  machine: string,
): string {
  const { streams, size, names, changes, loads } = options;
  const workload = `${streams} streams × ${names} names, ${size.services} Services of ${size.endpointsPerService} endpoints, ${changes} changes, ${loads} load process(es)`;
  return report(results, { options, machine, workload, metrics: NAMED_METRICS, refusals: refusalsOfNamed });
}

function refusalsOfPush({ storm, reconnect }: RunResult): readonly string[] {
  return [...storm.refusals, ...reconnect.refusals];
}

function refusalsOfNamed({ same, sampled }: NamedResult): readonly string[] {
  return [...same.refusals, ...sampled.refusals];
}

interface Reported<Run> {
  readonly options: Options;
  readonly machine: string;
  readonly workload: string;
  readonly metrics: readonly Metric<Run>[];
  readonly refusals: (run: Run) => readonly string[];
}

/** The table, then all of it once more as one line of JSON. */
function report<Run>(
  results: ReadonlyMap<string, readonly Run[]>,
  { options, machine, workload, metrics, refusals }: Reported<Run>,
): string {
  const names = [...results.keys()];
  const summaries = metrics.map(({ key, label, digits, of }) => ({
    key,
    label,
    digits,
    values: new Map(names.map((name) => [name, summary(results.get(name)!.map(of))])),
  }));
  const [ours, ...peers] = names;
  const header = ['', ...names, ...peers.map((peer) => `÷ ${peer}`)];
  const rows = summaries.map(({ label, digits, values }) => [
    label,
    ...names.map((name) => shown(values.get(name)!, digits)),
    ...peers.map((peer) => ratio(values.get(ours!)!.median, values.get(peer)!.median)),
  ]);
  return [
    workload,
    `median of ${options.runs} interleaved runs (lowest – highest); ${machine}`,
    '',
    ...table([header, ...rows]),
    ...Array.from(new Set([...results.values()].flat().flatMap(refusals)), (reason) => `refused: ${reason}`),
    '',
    JSON.stringify({
      bench: 'push',
      machine,
      options,
      results: Object.fromEntries(
        names.map((name) => [
          name,
          Object.fromEntries(summaries.map(({ key, values }) => [key, values.get(name)])),
        ]),
      ),
    }),
  ].join('\n');
}

function pushMetrics(key: string, label: string, of: (run: RunResult) => PushResult): Metric<RunResult>[] {
  return [
    metric(`${key}P50`, `${label}: last stream p50, ms`, (run) => percentile(of(run).latencies, 0.5), 1),
    metric(`${key}P99`, `${label}: last stream p99, ms`, (run) => percentile(of(run).latencies, 0.99), 1),
    metric(`${key}Cpu`, `${label}: server CPU, µs each`, (run) => of(run).cpuMicrosPerPush, 1),
    metric(`${key}LoadCpu`, `${label}: load's CPU, µs each`, (run) => of(run).loadCpuMicrosPerPush, 1),
  ];
}

function namesMetrics(
  key: string,
  label: string,
  of: (run: NamedResult) => NamesResult,
): Metric<NamedResult>[] {
  const row = (name: string, text: string, value: (names: NamesResult) => number, digits: number) =>
    metric(`${key}${name}`, `${label}: ${text}`, (run: NamedResult) => value(of(run)), digits);
  return [
    row('Seconds', 'until all have all, s', ({ seconds }) => seconds, 2),
    row('Cpu', 'until all have all, server CPU, s', ({ cpuSeconds }) => cpuSeconds, 2),
    row('RssPerStream', 'server RSS per stream, KB', (names) => names.rssBytesPerStream / 1e3, 0),
    row('PushP50', 'push: last stream p50, ms', ({ latencies }) => percentile(latencies, 0.5), 1),
    row('PushCpu', 'push: server CPU, µs each', (names) => names.cpuMicrosPerPush, 1),
    row('ReconnectSeconds', 'reconnect, s', ({ reconnect }) => reconnect.seconds, 2),
    row('ReconnectCpu', 'reconnect: server CPU, s', ({ reconnect }) => reconnect.cpuSeconds, 2),
    row('ReconnectBytes', 'reconnect: resource bytes', ({ reconnect }) => reconnect.resourceBytes, 0),
    row('Refusals', 'refusals', ({ refusals }) => refusals.length, 0),
    row('Lost', 'streams lost', ({ lost }) => lost, 0),
  ];
}

function metric<Run>(key: string, label: string, of: (run: Run) => number, digits: number): Metric<Run> {
  return { key, label, of, digits };
}

interface Summary {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

function summary(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  return { median: percentile(sorted, 0.5), lowest: sorted[0]!, highest: sorted.at(-1)! };
}

/** Nearest rank; of an even number of values the lower middle one is the median. */
function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]!;
}

function shown({ median, lowest, highest }: Summary, digits: number): string {
  const fixed = median.toFixed(digits);
  return lowest === highest ? fixed : `${fixed} (${lowest.toFixed(digits)} – ${highest.toFixed(digits)})`;
}

function ratio(ours: number, theirs: number): string {
  return theirs === 0 ? (ours === 0 ? '=' : '–') : (ours / theirs).toFixed(2);
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join('   '),
  );
}
