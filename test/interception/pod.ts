/** A pod as the injector would make it, without Kubernetes: a namespace, an application, proxy-init, a sidecar. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Program } from '../system/programs.ts';
import { until } from '../until.ts';
import type { Verbs } from './agent.ts';
import type { Ended, Namespace } from './network.ts';

export const PROXY_UID = 2102;

const AGENT = fileURLToPath(new URL('agent.ts', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What the init container may: the capability to change the network, and nothing else. */
const WITH_NET_ADMIN = ['setpriv', '--bounding-set', '-all,+net_admin', '--inh-caps', '-all'];
const UNPRIVILEGED =
  `setpriv --reuid ${PROXY_UID} --regid ${PROXY_UID} --clear-groups --bounding-set -all --inh-caps -all --no-new-privs`.split(
    ' ',
  );

export type Bootstrap = Readonly<Record<string, unknown>>;

type Environment = Readonly<Record<string, string>>;

/** A bootstrap as the injector writes it. */
export function bootstrap(controlPlane: string, fields: Bootstrap = {}): Bootstrap {
  return {
    controlPlane: { addresses: [controlPlane] },
    interception: {},
    admin: { host: '0.0.0.0', port: 5058 },
    ...fields,
  };
}

export class Pod {
  readonly at: Namespace;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly #agent: ChildProcess;
  readonly #calls = new Map<number, PromiseWithResolvers<never>>();
  readonly #programs: Program[] = [];
  #callId = 0;

  private constructor(at: Namespace) {
    this.at = at;
    this.ipv4 = at.ipv4;
    this.ipv6 = at.ipv6;
    const [enter, ...words] = at.entering;
    this.#agent = spawn(enter, [...words, process.execPath, AGENT], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#agent.on('message', (answer: { id: number; result?: never; error?: string }) => {
      const call = this.#calls.get(answer.id);
      this.#calls.delete(answer.id);
      if (answer.error === undefined) call?.resolve(answer.result as never);
      else call?.reject(new Error(answer.error));
    });
  }

  /** With an application that waits to be told what to do. */
  static async start(at: Namespace): Promise<Pod> {
    const pod = new Pod(at);
    await once(pod.#agent, 'message');
    return pod;
  }

  /** Has the application do something; rejects with an errno's name where it fails. */
  ask<Verb extends keyof Verbs>(verb: Verb, argument: Parameters<Verbs[Verb]>[0]): ReturnType<Verbs[Verb]> {
    this.#callId += 1;
    const call = Promise.withResolvers<never>();
    this.#calls.set(this.#callId, call);
    this.#agent.send({ id: this.#callId, verb, argument });
    return call.promise as unknown as ReturnType<Verbs[Verb]>;
  }

  /** Runs curl beside the application; resolves with what it printed, and its exit code where it failed. */
  async curl(...args: readonly string[]): Promise<string> {
    const { code, stdout } = await this.at.run('curl', '-sS', '--max-time', '20', ...args);
    return code === 0 ? stdout : `curl ${code}`;
  }

  proxyInit(document: Bootstrap, through: readonly string[] = WITH_NET_ADMIN): Promise<Ended> {
    return this.at.run(
      'env',
      `CORTEXFLOW_BOOTSTRAP=${JSON.stringify(document)}`,
      'CORTEXFLOW_LOG_FORMAT=json',
      ...through,
      process.execPath,
      `${ROOT}sidecar/proxy-init/main.ts`,
    );
  }

  /** The init container to its end, and the sidecar until it is ready. */
  async inject(document: Bootstrap, environment: Environment = {}): Promise<Program> {
    const { code, stderr } = await this.proxyInit(document);
    if (code !== 0) throw new Error(`proxy-init ended with ${code}: ${stderr}`);
    const sidecar = this.startSidecar(document, environment);
    await sidecar.serving();
    await this.ready();
    return sidecar;
  }

  startSidecar(document: Bootstrap, environment: Environment = {}): Program {
    const program = new Program({
      file: 'sidecar/main.ts',
      through: [...this.at.entering, ...UNPRIVILEGED],
      environment: { CORTEXFLOW_BOOTSTRAP: JSON.stringify(document), ...environment },
    });
    this.#programs.push(program);
    return program;
  }

  async ready(): Promise<void> {
    await until(
      'the sidecar is ready',
      () => this.readyz(),
      (text) => text.startsWith('ready'),
    );
  }

  readyz(): Promise<string> {
    return this.#admin('/readyz');
  }

  metrics(): Promise<string> {
    return this.#admin('/metrics');
  }

  /** One sample; 0 where there is no such series. */
  async metric(series: string): Promise<number> {
    const line = (await this.metrics()).split('\n').find((candidate) => candidate.startsWith(`${series} `));
    return line === undefined ? 0 : Number(line.slice(series.length + 1));
  }

  /** What its sidecars wrote, each one line for line. */
  get logs(): readonly string[] {
    return this.#programs.map(({ text }) => text);
  }

  async stop(): Promise<void> {
    for (const program of this.#programs) await program.end('SIGKILL');
    if (this.#agent.exitCode === null) {
      this.#agent.disconnect();
      await once(this.#agent, 'exit');
    }
  }

  /** On loopback, where nothing is intercepted. */
  async #admin(path: string): Promise<string> {
    const { stdout } = await this.at.run('curl', '-s', '--max-time', '5', `http://127.0.0.1:5058${path}`);
    return stdout;
  }
}
