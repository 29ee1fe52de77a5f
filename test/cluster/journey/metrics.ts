/** What a program of the mesh says about itself on its admin page. */
import type { Cluster, Pod } from '../cluster.ts';
import type { NodeName } from '../layout.ts';

const SIDECAR_ADMIN_PORT = 5058;

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples of one scrape. */
export class Metrics {
  readonly samples: readonly Sample[];

  constructor(text: string) {
    this.samples = text.split('\n').flatMap(sampleOf);
  }

  /** Of all series of that name with these labels and whatever others; 0 where there is none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.select(name, labels).reduce((sum, { value }) => sum + value, 0);
  }

  /** As sum(), but for each value of the label `by`. */
  sums(name: string, by: string, labels: Readonly<Record<string, string>> = {}): Record<string, number> {
    const sums: Record<string, number> = {};
    for (const sample of this.select(name, labels)) {
      const key = sample.labels[by] ?? '';
      sums[key] = (sums[key] ?? 0) + sample.value;
    }
    return sums;
  }

  select(name: string, labels: Readonly<Record<string, string>> = {}): readonly Sample[] {
    return this.samples.filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    );
  }
}

/** Asked from the pod's node, so that it needs no API server. */
export async function sidecarMetrics(cluster: Cluster, pod: Pod): Promise<Metrics> {
  return new Metrics(await sidecarPage(cluster, pod, '/metrics'));
}

/** @param path `/metrics`, `/readyz`, `/config` … of the sidecar's admin page; any status resolves with its text */
export function sidecarPage(cluster: Cluster, pod: Pod, path: string): Promise<string> {
  return podPage(cluster, pod, { port: SIDECAR_ADMIN_PORT, path });
}

export interface Page {
  readonly port: number;
  readonly path: string;
  readonly method?: string;
}

export async function podPage(
  cluster: Cluster,
  pod: Pod,
  { port, path, method = 'GET' }: Page,
): Promise<string> {
  const url = `http://${pod.addresses[0]}:${port}${path}`;
  const command = ['curl', '-sS', '--max-time', '30', '--request', method, url];
  const { code, stdout, stderr } = await cluster.onNode(pod.node as NodeName, command);
  if (code !== 0) throw new Error(`${url} of pod ${pod.name} gave no answer: ${stderr}`);
  return stdout;
}

function sampleOf(line: string): readonly Sample[] {
  const [, name, labels = '', value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
  if (name === undefined) return [];
  const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
  return [
    { name, labels: Object.fromEntries(pairs.map(([, key, text]) => [key, text])), value: Number(value) },
  ];
}
