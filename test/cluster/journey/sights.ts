/** What an application can see of where it runs, to compare one pod with another. */
import type { Stage } from './journey.ts';

/** What is looked at of a pod; more is compared. */
export interface PlainPod {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly initContainers?: readonly { readonly name: string }[];
    readonly volumes?: readonly { readonly name: string }[];
    readonly nodeName?: string;
    readonly [field: string]: unknown;
  };
  readonly status: { readonly podIPs: readonly { readonly ip: string }[] };
}

/** Of the container's own first process, where it can be told from that of the shell that looks. */
const SIGHTS = {
  environment: `tr '\\0' '\\n' < /proc/1/environ`,
  command: `tr '\\0' '\\n' < /proc/1/cmdline; readlink /proc/1/cwd /proc/1/exe`,
  'user and rights': `grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Umask)' /proc/1/status; id`,
  limits: 'cat /proc/1/limits',
  processes: 'ps -e -o pid=,args= --sort=pid | head -1',
  mounts: `awk '{ print $2, $3 }' /proc/1/mounts`,
  files: 'find / -xdev',
  devices: 'find /dev -xdev -maxdepth 1',
  resolver: 'cat /etc/resolv.conf /etc/nsswitch.conf',
  hosts: 'cat /etc/hosts',
  interfaces: 'ls /sys/class/net',
  'a Service by name': 'getent ahosts inside',
  'a name that does not exist': 'dig +noall +comments example.com | grep -o "status: [A-Z]*"',
} as const;

/** Lines, with the pod's own name and addresses replaced by words. */
export async function sightsOf(
  { cluster, namespace }: Stage,
  { metadata, status }: PlainPod,
): Promise<Readonly<Record<string, readonly string[]>>> {
  const script = Object.values(SIGHTS).join('; echo; echo ======; ');
  const { code, stdout, stderr } = await cluster.exec(namespace, metadata.name, ['sh', '-c', script]);
  if (code !== 0) throw new Error(`${metadata.name} cannot be looked at: ${stderr}`);
  const own = [metadata.name, ...status.podIPs.map(({ ip }) => ip)];
  const text = own.reduce((plain, word) => plain.replaceAll(word, 'OWN'), stdout);
  const lists = text.split('======\n').map((list) => list.split('\n').filter((line) => line !== ''));
  return Object.fromEntries(Object.keys(SIGHTS).map((what, index) => [what, lists[index] ?? []]));
}

/** The spec as it was applied, and what Kubernetes makes of it anywhere, without what is each pod's own. */
export function withoutNames({ spec }: PlainPod): unknown {
  const volumes = spec.volumes?.filter(({ name }) => name !== 'cortexflow-state');
  const own = { ...without(spec, 'initContainers', 'nodeName', 'topologySpreadConstraints'), volumes };
  return JSON.parse(JSON.stringify(own).replaceAll(/kube-api-access-\w+/g, 'kube-api-access'));
}

/** A copy that lacks these fields. */
export function without(object: object, ...fields: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !fields.includes(name)));
}
