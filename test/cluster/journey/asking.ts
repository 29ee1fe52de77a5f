/** Applications that ask each other, and what their sidecars count of it. */
import type { Cluster, Pod } from '../cluster.ts';
import type { Stage } from './journey.ts';

/** What app/server.ts answers. */
export interface Answer {
  /** The name of the pod that answered. */
  readonly pod: string;
  /** The address that the server saw as its client's. */
  readonly from: string;
}

/** What a pod's application gets on a connection of its own; anything but an answer rejects. */
export async function ask({ cluster, namespace }: Stage, pod: Pod, url: string): Promise<Answer> {
  const command = ['curl', '--globoff', '-sS', '--fail', '--max-time', '10', url];
  const { stdout, stderr } = await cluster.exec(namespace, pod.name, command);
  if (stdout === '') throw new Error(`${pod.name} got no answer from ${url}: ${stderr}`);
  const { pod: name, from } = JSON.parse(stdout) as Answer;
  return { pod: name, from: from.replace('::ffff:', '') };
}

/** How many connections the pod's sidecar has taken, by the Service, or the own port, that they were for. */
export async function taken(
  stage: Stage,
  pod: Pod,
  direction: 'inbound' | 'outbound',
): Promise<Readonly<Record<string, number>>> {
  const metrics = await stage.metrics(pod);
  return metrics.sums('cortexflow_tcp_connections_opened_total', 'service', { direction });
}

/** One line of a sidecar's log. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** Also of a pod that has ended. */
export async function sidecarLog(stage: Stage, pod: string): Promise<readonly LogLine[]> {
  const text = await stage.kubectl(['logs', pod, '-c', 'proxy-sidecar']);
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LogLine);
}

/** The JSON of one object, or of a list of them. */
export async function getJson<T>(cluster: Cluster, ...what: readonly string[]): Promise<T> {
  return JSON.parse(await cluster.mustKubectl(['get', ...what, '-o', 'json'])) as T;
}
