/** A real API server with an injector's namespace, account and webhook: what the injector finds in a cluster. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startApiServer, type TestApiServer } from '../cluster/api-server.ts';
import { mustCall } from '../cluster/api-client.ts';
import { Program } from '../system/programs.ts';
import { until } from '../until.ts';

const RBAC = fileURLToPath(new URL('../../k8s/base/injector/rbac.yaml', import.meta.url));
const CONFIGURATION = 'cortexflow-injector';
export const CONFIGURATIONS = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
export const SECRETS = '/api/v1/namespaces/cortexflow/secrets';

export class InjectorCluster {
  readonly server: TestApiServer;

  constructor(server: TestApiServer) {
    this.server = server;
  }

  static async start(): Promise<InjectorCluster> {
    const server = await startApiServer();
    await server.createNamespace('cortexflow');
    const { code, stderr } = await server.kubectl(['apply', '-f', '-'], readFileSync(RBAC, 'utf8'));
    if (code !== 0) throw new Error(stderr);
    return new InjectorCluster(server);
  }

  /** The injector as a process of its own, with the rights of its account and no others. Whoever starts it ends it. */
  async injector(environment: Readonly<Record<string, string>> = {}): Promise<RunningInjector> {
    const program = new Program({
      file: 'injector/main.ts',
      environment: {
        KUBECONFIG: await this.server.kubeconfigFor('injector', 'cortexflow'),
        CORTEXFLOW_WEBHOOK_ADDRESS: '127.0.0.1:0',
        CORTEXFLOW_ADMIN_ADDRESS: '127.0.0.1:0',
        CORTEXFLOW_WEBHOOK_SERVICE: '127.0.0.1',
        CORTEXFLOW_CONTROL_PLANE: '192.0.2.1:18000',
        CORTEXFLOW_NAMESPACE: 'cortexflow',
        CORTEXFLOW_DRAIN_MS: '0',
        ...environment,
      },
    });
    const { webhook, admin } = await program.serving();
    return new RunningInjector(program, String(webhook), String(admin));
  }

  /** The webhook's configuration, without a caBundle: that is for the injector to set. */
  configure(address: string, failurePolicy: 'Fail' | 'Ignore' = 'Fail'): Promise<unknown> {
    return mustCall(this.server.admin, {
      method: 'POST',
      path: CONFIGURATIONS,
      body: {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'MutatingWebhookConfiguration',
        metadata: { name: CONFIGURATION },
        webhooks: [
          {
            name: 'inject.cortexflow.io',
            clientConfig: { url: `https://${address}/mutate` },
            rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
            admissionReviewVersions: ['v1'],
            sideEffects: 'None',
            failurePolicy,
            reinvocationPolicy: 'IfNeeded',
            timeoutSeconds: 5,
          },
        ],
      },
    });
  }

  /** Creates the pod for the sake of the answer. */
  tryPod(pod: object, namespace = 'default'): ReturnType<TestApiServer['call']> {
    return this.server.call({
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/pods?dryRun=All`,
      body: pod,
    });
  }

  stop(): Promise<void> {
    return this.server.stop();
  }
}

export class RunningInjector {
  readonly program: Program;
  /** host:port of the webhook. */
  readonly address: string;
  readonly #admin: string;

  constructor(program: Program, address: string, admin: string) {
    this.program = program;
    this.address = address;
    this.#admin = admin;
  }

  async page(path: string): Promise<{ status: number; text: string }> {
    const response = await fetch(`http://${this.#admin}${path}`);
    return { status: response.status, text: await response.text() };
  }

  async ready(): Promise<void> {
    await until(
      'the injector is ready',
      () => this.page('/readyz'),
      ({ status }) => status === 200,
    );
  }

  async metric(name: string): Promise<number> {
    const { text } = await this.page('/metrics');
    const line = text.split('\n').find((each) => each.startsWith(`${name} `));
    return Number(line?.slice(name.length + 1));
  }
}
