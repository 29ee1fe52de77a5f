/**
 * A real kube-apiserver with its etcd, for tests of what talks to the Kubernetes API. No kubelet and no
 * controllers: nodes, pods and EndpointSlices are what the test writes, a deleted namespace stays
 * Terminating, and a namespace made by hand has no ServiceAccount `default` (createNamespace() makes it).
 * Any number may run side by side, as any user.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRunning } from '../system/programs.ts';
import { until } from '../until.ts';
import { type Access, type Answer, call, type Call, mustCall, writeKubeconfig } from './api-client.ts';
import { binaryPath, whatIsMissing } from './binaries.ts';
import { Authority, writeServiceAccountKeys } from './certificates.ts';
import { Child } from './child.ts';
import { type Output, run } from './command.ts';
import { API_PORT, apiServerCommand, etcdCommand } from './flags.ts';

const DIRECTORY_PREFIX = 'cortexflow-api-server-';

/**
 * Why it cannot be started here, and what to run so that it can; undefined when it can. A test that needs it
 * skips with that sentence, and fails with it when `CI` is `true`.
 */
export function whyNoApiServer(): string | undefined {
  return whatIsMissing(['kube-apiserver', 'kubectl'], ['etcd', 'setpriv']);
}

export async function startApiServer(): Promise<TestApiServer> {
  const missing = whyNoApiServer();
  if (missing) throw new Error(`No API server can be started: ${missing}`);
  removeLeftovers();
  const directory = mkdtempSync(join(tmpdir(), `${DIRECTORY_PREFIX}${process.pid}-`));
  const server = await TestApiServer.prepare(directory);
  try {
    await server.startEtcd();
    await server.startServer();
    await server.createServiceAccount('default', 'default');
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

interface Commands {
  readonly etcd: readonly string[];
  readonly server: readonly string[];
}

export class TestApiServer {
  readonly url: string;
  /** May do everything. */
  readonly admin: Access;
  /** Path of the admin's kubeconfig. */
  readonly kubeconfig: string;
  /** etcd's and the API server's data and logs. */
  readonly directory: string;
  readonly #commands: Commands;
  #etcd: Child | undefined;
  #server: Child | undefined;

  private constructor(directory: string, admin: Access, commands: Commands) {
    this.directory = directory;
    this.admin = admin;
    this.url = admin.url;
    this.#commands = commands;
    this.kubeconfig = join(directory, 'admin.kubeconfig');
    writeKubeconfig({ ...admin, path: this.kubeconfig, user: 'admin' });
  }

  /** Writes what the programs need into the directory and starts nothing yet. */
  static async prepare(directory: string): Promise<TestApiServer> {
    const address = ownAddress();
    const authority = await Authority.create(directory);
    const certificate = await authority.issue('server', {
      commonName: 'kube-apiserver',
      ipAddresses: [address],
    });
    const token = randomBytes(16).toString('hex');
    const tokens = join(directory, 'tokens.csv');
    writeFileSync(tokens, `${token},admin,admin,system:masters\n`, { mode: 0o600 });
    const server = apiServerCommand({
      binary: binaryPath('kube-apiserver'),
      directory,
      address,
      etcdAddress: address,
      certificate,
      serviceAccountKeys: writeServiceAccountKeys(directory),
      tokens,
      serviceCidr: '10.96.0.0/16',
    });
    // Nobody reaches this one by a Service, and no endpoint may have a loopback address.
    const alone = [
      '--authorization-mode=RBAC',
      '--endpoint-reconciler-type=none',
      '--advertise-address=192.0.2.1',
    ];
    const etcd = etcdCommand(address, join(directory, 'etcd'));
    const access = {
      url: `https://${address}:${API_PORT}`,
      certificateAuthority: authority.certificatePath,
      token,
    };
    return new TestApiServer(directory, access, { etcd, server: [...server, ...alone] });
  }

  /** As the admin. Every status resolves. */
  call(request: Call): Promise<Answer> {
    return call(this.admin, request);
  }

  /** Runs kubectl as the admin; any exit code resolves. */
  kubectl(args: readonly string[], stdin = ''): Promise<Output> {
    // What it remembers of a server must not outlive that server.
    const own = [`--kubeconfig=${this.kubeconfig}`, `--cache-dir=${join(this.directory, 'kubectl')}`];
    return run([binaryPath('kubectl'), ...own, ...args], stdin);
  }

  /** With the ServiceAccount `default`, which no pod can be created without. */
  async createNamespace(name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
    await mustCall(this.admin, { method: 'POST', path: '/api/v1/namespaces', body });
    await this.createServiceAccount('default', name);
  }

  async createServiceAccount(name: string, namespace: string): Promise<void> {
    const body = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } };
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    await mustCall(this.admin, { method: 'POST', path, body });
  }

  /** What a pod would be given: a bound token, for the one hour that such tokens have. The account must exist. */
  async accessFor(serviceAccount: string, namespace: string): Promise<Access> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`;
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: 3600 },
    };
    const answer = await mustCall(this.admin, { method: 'POST', path, body });
    return { ...this.admin, token: (answer as { status: { token: string } }).status.token };
  }

  /** Path of a kubeconfig with which one is that ServiceAccount, and nobody else. The account must exist. */
  async kubeconfigFor(serviceAccount: string, namespace: string): Promise<string> {
    const access = await this.accessFor(serviceAccount, namespace);
    const path = join(this.directory, `${namespace}.${serviceAccount}.kubeconfig`);
    writeKubeconfig({ ...access, path, user: serviceAccount, namespace });
    return path;
  }

  async startEtcd(): Promise<void> {
    if (this.#etcd) return;
    this.#etcd = new Child('etcd', this.#commands.etcd, this.directory);
  }

  /** Ends etcd as a crash would; the API server lives on without it. */
  async stopEtcd(): Promise<void> {
    await this.#etcd?.kill();
    this.#etcd = undefined;
  }

  /** Resolves once it says that it is ready; at the same address as ever. */
  async startServer(): Promise<void> {
    if (this.#server) return;
    this.#server = new Child('kube-apiserver', this.#commands.server, this.directory);
    await this.untilReady();
  }

  /** Ends the API server as a crash would: connections to it are reset, new ones refused. */
  async stopServer(): Promise<void> {
    await this.#server?.kill();
    this.#server = undefined;
  }

  /** Freezes the API server: its connections stay open and it says nothing more, as behind a dead network. */
  pause(): void {
    this.#server?.signal('SIGSTOP');
  }

  resume(): void {
    this.#server?.signal('SIGCONT');
  }

  /** Resolves when /readyz does, which it does not while etcd is away. */
  async untilReady(): Promise<void> {
    await until(
      'an API server that is ready',
      () => {
        const failure = this.#etcd?.failure ?? this.#server?.failure;
        if (failure) throw new Error(failure);
        return this.call({ method: 'GET', path: '/readyz' }).catch(String);
      },
      (answer) => typeof answer === 'object' && answer.status === 200,
    );
  }

  /** Leaves no process and no file. */
  async stop(): Promise<void> {
    await this.stopServer();
    await this.stopEtcd();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/**
 * A loopback address that nobody else uses, so that every server has the usual ports: no port is claimed first
 * and lost before it is bound, and a restart finds its own again. Linux answers on all of 127.0.0.0/8.
 */
function ownAddress(): string {
  const [second, third, fourth] = randomBytes(3);
  return `127.${64 + (second! % 128)}.${third}.${1 + (fourth! % 254)}`;
}

/** Directories of test processes that were killed before they could clean up. */
function removeLeftovers(): void {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(DIRECTORY_PREFIX))) {
    const pid = Number(name.slice(DIRECTORY_PREFIX.length).split('-')[0]);
    if (!isRunning(pid)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}
