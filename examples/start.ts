/**
 * A small real mesh on loopback: HTTP backends, the control plane on a folder of Kubernetes YAML, and one
 * sidecar in front of whoever calls it. `npm start` runs it; Ctrl-C ends all of it. Another folder and
 * another bootstrap can be given as arguments.
 */
import '../process/node-version.mjs';
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { readConfig } from '../control-plane/config.ts';
import type { Address } from '../process/environment.ts';
import { hostPort } from '../process/listen.ts';
import { runStart } from '../process/program.ts';
import { describeMistakes, loadConfig, type SidecarConfig } from '../sidecar/config.ts';
import type { ControlPlaneConfig } from '../control-plane/config.ts';
import { startBackends } from './backends.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const [directory = 'examples/hello', bootstrap = 'examples/sidecar.yaml'] = process.argv.slice(2);
const controlPlaneEnvironment = {
  CORTEXFLOW_LOG_FORMAT: 'text',
  ...process.env,
  CORTEXFLOW_DIRECTORY: directory,
};
const sidecarEnvironment = {
  PATH: process.env['PATH'],
  CORTEXFLOW_BOOTSTRAP: bootstrap,
  CORTEXFLOW_LOG_FORMAT: 'text',
};

const programs = new Set<ChildProcess>();
process.on('SIGTERM', endAll);
process.on('SIGINT', endAll);

async function start(controlPlane: ControlPlaneConfig, sidecar: SidecarConfig): Promise<void> {
  const backends = await startBackends(directory);
  endWithThis(run('control-plane', controlPlaneEnvironment));
  await ready(controlPlane.admin);
  endWithThis(run('sidecar', sidecarEnvironment));
  await ready(sidecar.admin);
  process.stdout.write(introduction(controlPlane, sidecar, backends));
}

function run(program: string, env: NodeJS.ProcessEnv): ChildProcess {
  // The IPC channel tells a child that its parent is gone, even when the parent was killed.
  const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const;
  return spawn(process.execPath, [`${program}/main.ts`], { cwd: root, env, stdio: [...stdio] });
}

/** When one program ends, or this one is told to, all end. A terminal's Ctrl-C reaches each by itself as well. */
function endWithThis(program: ChildProcess): void {
  programs.add(program);
  program.on('exit', (code) => {
    programs.delete(program);
    process.exitCode = Math.max(Number(process.exitCode ?? 0), code ?? 1);
    endAll();
  });
}

function endAll(): void {
  if (programs.size === 0) process.exit();
  for (const program of programs) program.kill('SIGTERM');
}

async function ready(admin: Address): Promise<void> {
  for (;;) {
    const answer = await fetch(`http://${at(admin)}/readyz`).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function at({ host, port }: Address): string {
  return hostPort(host, port);
}

function introduction(controlPlane: ControlPlaneConfig, sidecar: SidecarConfig, backends: string[]): string {
  const upstreams = sidecar.upstreams.map(
    ({ listen, service, port, protocol }) =>
      `${at(listen)} → ${service}:${port}${protocol === 'udp' ? '/udp' : ''}`,
  );
  const [dns] = sidecar.dns?.listen ?? [];
  const first = sidecar.upstreams.find(({ protocol }) => protocol === 'tcp');
  const client = first ? `http://${at(first.listen)}` : '';
  const datagrams = sidecar.upstreams.find(({ protocol }) => protocol === 'udp');
  const [namespace, name] = first?.service.split('/') ?? [];
  const dig =
    dns && first ? `  dig -p ${dns.port} @${dns.host} ${name}.${namespace}.svc.cluster.local\n` : '';
  const [messages] = sidecar.messages.listen;
  const grpcurl = `grpcurl -plaintext ${at(controlPlane.inspection)}`;
  return `
A small mesh is running. Ctrl-C ends it.

  backends        ${backends.join(', ')}
  control plane   serves ${directory}; xDS ${at(controlPlane.xds)}, inspection ${at(controlPlane.inspection)}
  sidecar         ${upstreams.join(', ')}; what it holds: http://${at(sidecar.admin)}/config

Try:

  curl ${client}                          # again and again: another backend answers each time
  while curl -sS ${client}; do sleep .2; done   # and meanwhile, in an editor:
      set "ready: false" in ${directory}/endpoints-2.yaml, save: it leaves, and no request fails
${datagrams === undefined ? '' : sendDatagram(datagrams.listen)}${dig}${messages === undefined ? '' : sendIt(messages)}  ${grpcurl} list                # no proto file needed
  ${grpcurl} envoy.service.status.v3.ClientStatusDiscoveryService/FetchClientStatus
      # who is connected, what each was sent, and whether it was acknowledged

`;
}

function sendDatagram({ host, port }: Address): string {
  return `  printf hi | nc -u -w1 ${host} ${port}         # a datagram; each nc is another client, and gets another backend\n`;
}

/** For the example folder: in another one the answer says that there is no such Service. */
function sendIt({ host, port }: Address): string {
  const message = '{"service":"hello.demo","direction":"Incoming","payload":"aGkgdGhlcmU="}';
  return `  printf '%s\\n' '${message}' | nc -w1 ${host} ${port}   # a message, and its answer\n`;
}

await runStart(async () => {
  const controlPlane = readConfig(
    (name) => controlPlaneEnvironment[name as keyof typeof controlPlaneEnvironment],
  );
  const sidecar = loadConfig((name) => sidecarEnvironment[name as keyof typeof sidecarEnvironment]);
  if ('problems' in controlPlane) return controlPlane;
  if (!sidecar.ok) return { problems: [describeMistakes(sidecar.mistakes)] };
  await start(controlPlane.config, sidecar.config);
  return { problems: [] };
});
