import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startApiServer, type TestApiServer } from '../../test/cluster/api-server.ts';
import { put } from '../../test/kubernetes/etcd.ts';
import { claimPort } from '../../test/system/programs.ts';
import { type MeshSize, meshContent } from '../push/mesh.ts';
import { podObjects } from './pods.ts';

const ROLE = fileURLToPath(new URL('../../k8s/base/control-plane/rbac.yaml', import.meta.url));

interface Named {
  readonly kind: string;
  readonly metadata: { readonly namespace: string; readonly name: string };
}

/** An API server that has the mesh, and the rights of a control plane on it. */
export class Cluster {
  readonly server: TestApiServer;
  readonly #directory: string;

  private constructor(server: TestApiServer, directory: string) {
    this.server = server;
    this.#directory = directory;
  }

  static async start(): Promise<Cluster> {
    const server = await startApiServer();
    const directory = mkdtempSync(join(tmpdir(), 'cortexflow-bench-'));
    await server.createNamespace('cortexflow');
    await server.createNamespace('bench');
    const { code, stderr } = await server.kubectl(['apply', '-f', ROLE]);
    if (code !== 0) throw new Error(stderr);
    const { token, certificateAuthority } = await server.accessFor('control-plane', 'cortexflow');
    writeFileSync(join(directory, 'token'), token);
    writeFileSync(join(directory, 'ca.crt'), readFileSync(certificateAuthority));
    return new Cluster(server, directory);
  }

  /** Objects are written to etcd itself: the API server would take minutes for so many. */
  async write(size: MeshSize, pods: number): Promise<void> {
    const objects = [...meshContent(size).objects, ...podObjects(pods)] as readonly Named[];
    const resources: Record<string, string> = {
      Service: 'services/specs',
      EndpointSlice: 'endpointslices',
      Pod: 'pods',
    };
    const entries = objects.map((object): [string, unknown] => {
      const { namespace, name } = object.metadata;
      const metadata = { ...object.metadata, uid: `${object.kind}-${name}`, generation: 1 };
      return [`${resources[object.kind]}/${namespace}/${name}`, { ...object, metadata }];
    });
    await put(this.server, new Map(entries));
  }

  /** As in a pod. Resolves once it is ready. */
  async startControlPlane(): Promise<ControlPlane> {
    const [xdsPort, adminPort] = [await claimPort(), await claimPort()];
    const { hostname, port } = new URL(this.server.url);
    const begun = performance.now();
    const child = spawn(process.execPath, ['control-plane/main.ts'], {
      env: {
        PATH: process.env['PATH'],
        NODE_COMPILE_CACHE: 'node_modules/.cache/node',
        CORTEXFLOW_LOG_LEVEL: 'error',
        CORTEXFLOW_SOURCE: 'kubernetes',
        CORTEXFLOW_SERVICE_ACCOUNT_DIRECTORY: this.#directory,
        KUBERNETES_SERVICE_HOST: hostname,
        KUBERNETES_SERVICE_PORT: port,
        CORTEXFLOW_XDS_ADDRESS: `127.0.0.1:${xdsPort}`,
        CORTEXFLOW_ADMIN_ADDRESS: `127.0.0.1:${adminPort}`,
        CORTEXFLOW_INSPECTION_ADDRESS: '127.0.0.1:0',
      },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${adminPort}/readyz`).catch(() => undefined);
      if (answer?.ok) return new ControlPlane(child, xdsPort, (performance.now() - begun) / 1_000);
      if (child.exitCode !== null) throw new Error('the control plane ended, see above');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async stop(): Promise<void> {
    await this.server.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

export class ControlPlane {
  readonly xdsPort: number;
  readonly readySeconds: number;
  readonly #process: ChildProcess;

  constructor(child: ChildProcess, xdsPort: number, readySeconds: number) {
    this.#process = child;
    this.xdsPort = xdsPort;
    this.readySeconds = readySeconds;
  }

  get pid(): number {
    return this.#process.pid!;
  }

  async stop(): Promise<void> {
    const exit = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exit;
  }
}
