/**
 * The programs of Kubernetes itself, built from their published source once per version and kept outside the
 * tree. `npm exec -- node test/cluster/binaries.ts` builds what is missing: ten minutes on two cores the first time.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const module = fileURLToPath(new URL('./kubernetes/', import.meta.url));
export const COREDNS_VERSION = 'v1.12.4';

/** As kubernetes/go.mod requires it, `v1.34.4`. */
export const KUBERNETES_VERSION = /k8s\.io\/kubernetes (v[\d.]+)/.exec(
  readFileSync(`${module}go.mod`, 'utf8'),
)![1]!;

/** Everything that is slow to make and the same for every checkout. */
export const cacheDirectory = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'cortexflow');
const binaryDirectory = join(cacheDirectory, 'kubernetes', KUBERNETES_VERSION);

const KUBERNETES_PROGRAMS = [
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'kubectl',
] as const;

export type Binary = (typeof KUBERNETES_PROGRAMS)[number] | 'coredns';
export const BINARIES: readonly Binary[] = [...KUBERNETES_PROGRAMS, 'coredns'];

/** Where the program is once it has been built. */
export function binaryPath(name: Binary): string {
  return join(binaryDirectory, name);
}

/** What a cluster consists of and is made with, and the Debian package that each comes in. */
const CLUSTER_PACKAGES = {
  etcd: 'etcd-server',
  setpriv: 'util-linux',
  containerd: 'containerd',
  runc: 'runc',
  '/usr/lib/cni/ptp': 'containernetworking-plugins',
  iptables: 'iptables',
  buildah: 'buildah',
  mmdebstrap: 'mmdebstrap',
  nft: 'nftables',
  ip: 'iproute2',
  nsenter: 'util-linux',
  gcc: 'gcc libc6-dev',
} as const;

/** Programs that ask or serve through a sidecar. */
const CLIENT_PACKAGES = {
  dig: 'bind9-dnsutils',
  kdig: 'knot-dnsutils',
  dnsmasq: 'dnsmasq-base',
  dnsperf: 'dnsperf',
  iperf3: 'iperf3',
  nc: 'netcat-openbsd',
  'musl-gcc': 'musl-tools',
} as const;

const DEBIAN_PACKAGES = { ...CLUSTER_PACKAGES, ...CLIENT_PACKAGES };
export type DebianProgram = keyof typeof DEBIAN_PACKAGES;
export const CLUSTER_PROGRAMS = Object.keys(CLUSTER_PACKAGES) as readonly DebianProgram[];

const INSTALL_GO = 'install Go 1.24 or newer (https://go.dev/dl)';

/** What is not there, and the command that brings it, as one sentence; undefined when nothing is missing. */
export function whatIsMissing(
  binaries: readonly Binary[],
  programs: readonly DebianProgram[],
): string | undefined {
  const packages = new Set(
    programs.filter((program) => !onPath(program)).map((program) => DEBIAN_PACKAGES[program]),
  );
  const unbuilt = binaries.filter((name) => !isExecutable(binaryPath(name)));
  const sentences = [];
  if (packages.size > 0)
    sentences.push(`run apt-get install --no-install-recommends ${[...packages].join(' ')}`);
  if (unbuilt.length > 0)
    sentences.push(`run npm exec -- node test/cluster/binaries.ts, which builds ${unbuilt.join(', ')}`);
  return sentences.length === 0 ? undefined : sentences.join('; ');
}

export function whyNoGo(): string | undefined {
  return onPath('go') ? undefined : INSTALL_GO;
}

/** Builds what is missing, one program after the other: Go itself uses all cores. */
export function buildBinaries(names: readonly Binary[] = BINARIES): void {
  mkdirSync(binaryDirectory, { recursive: true });
  for (const name of names) {
    if (isExecutable(binaryPath(name))) continue;
    process.stderr.write(`Building ${name} into ${binaryDirectory}\n`);
    build(name);
  }
}

function build(name: Binary): void {
  const environment = { ...process.env, CGO_ENABLED: '0' };
  if (name === 'coredns') {
    go(['install', '-trimpath', `github.com/coredns/coredns@${COREDNS_VERSION}`], {
      ...environment,
      GOBIN: binaryDirectory,
    });
    return;
  }
  // A build that is cut short leaves no half of a program under its name.
  const unfinished = `${binaryPath(name)}.${process.pid}`;
  const flags = ['-trimpath', '-ldflags', versionFlags(), '-o', unfinished];
  go(['build', ...flags, `k8s.io/kubernetes/cmd/${name}`], environment);
  renameSync(unfinished, binaryPath(name));
}

/** The programs compare versions with one another, and clients read them: an unset one says v0.0.0. */
function versionFlags(): string {
  const [major, minor] = KUBERNETES_VERSION.slice(1).split('.');
  const variables = { gitVersion: KUBERNETES_VERSION, gitMajor: major, gitMinor: minor };
  const set = Object.entries(variables).map(
    ([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`,
  );
  return ['-s -w', ...set].join(' ');
}

function go(args: readonly string[], env: NodeJS.ProcessEnv): void {
  const { error, status } = spawnSync('go', args, { cwd: module, env, stdio: 'inherit' });
  if (error) throw new Error(`go cannot be run: ${INSTALL_GO}`, { cause: error });
  if (status !== 0) throw new Error(`go ${args[0]} failed: its own words are above`);
}

function onPath(program: string): boolean {
  if (program.startsWith('/')) return isExecutable(program);
  // Debian keeps nft and ip in a directory that is not on everybody's PATH.
  const directories = (process.env['PATH'] ?? '').split(delimiter).concat('/usr/sbin', '/sbin');
  return directories.some((directory) => isExecutable(join(directory, program)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

if (import.meta.main) buildBinaries();
