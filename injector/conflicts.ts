import { PORTS, PROXY_UID } from '../wire/pod.ts';
import { BOOTSTRAP_VARIABLE, INJECTION, STATE_VOLUME } from './names.ts';
import { objectName } from './options/excerpt.ts';
import type { Options } from './options.ts';
import { type Container, type ContainerPort, containersOf, type Pod } from './pod.ts';
import { hasBootstrap, isProxyName } from './remains.ts';

const WAY_OUT = `or leave this pod out of the mesh by annotating it ${INJECTION}: disabled`;

/**
 * What in the pod stands in the way of what would be added to it, each with what to do about it. What an earlier
 * injection left is not in it.
 */
export function conflictsOf(pod: Pod, { upstreams = [] }: Options): string[] {
  const containers = containersOf(pod);
  const taken = new Set(upstreams.map(({ port, protocol }) => `${port}/${protocol}`));
  const mistakes = containers.flatMap(identityConflicts);
  if (pod.spec.volumes?.some(({ name }) => name === STATE_VOLUME)) {
    mistakes.push(`the volume ${STATE_VOLUME} is the proxy's own: give yours another name, ${WAY_OUT}`);
  }
  for (const { name, ports } of containers) {
    for (const port of ports ?? []) {
      mistakes.push(...portConflicts(name, port, taken));
    }
  }
  return mistakes;
}

function identityConflicts(container: Container): string[] {
  const { name } = container;
  if (isProxyName(name)) {
    return [
      `a container is called ${name} like the proxy's own, and is none, since it has no ${BOOTSTRAP_VARIABLE}: ` +
        `rename it, ${WAY_OUT}`,
    ];
  }
  return hasBootstrap(container)
    ? [
        `container ${objectName(name)} has the variable ${BOOTSTRAP_VARIABLE}, which is for the proxy's own containers: take it ` +
          `out, ${WAY_OUT}`,
      ]
    : [];
}

function portConflicts(
  name: string,
  { containerPort: port, protocol }: ContainerPort,
  taken: ReadonlySet<string>,
): string[] {
  if (port >= PORTS.first && port <= PORTS.last) {
    return [
      `container ${objectName(name)} has containerPort ${port}: the proxy listens on ${PORTS.first} to ${PORTS.last} in every ` +
        `pod; use another port, ${WAY_OUT}`,
    ];
  }
  return taken.has(`${port}/${(protocol ?? 'TCP').toLowerCase()}`)
    ? [
        `container ${objectName(name)} has containerPort ${port}, where annotation cortexflow.io/upstreams has the proxy ` +
          'listen: use another port in one of them',
      ]
    : [];
}

/** What works otherwise than whoever wrote the pod may think. */
export function surprisesOf(pod: Pod, { upstreams = [] }: Options): string[] {
  const podUser = pod.spec.securityContext?.runAsUser;
  const warnings: string[] = [];
  for (const { name, securityContext } of containersOf(pod)) {
    if ((securityContext?.runAsUser ?? podUser) === PROXY_UID) {
      warnings.push(
        `container ${objectName(name)} runs as user ${PROXY_UID}, the proxy's own, whose connections do not go through the ` +
          'mesh: use another user',
      );
    }
  }
  for (const { port, listen } of upstreams) {
    if (port < 1024) {
      warnings.push(
        `annotation cortexflow.io/upstreams listens on ${listen}: where the container runtime lets root alone ` +
          'listen below 1024, the proxy cannot start',
      );
    }
  }
  return warnings;
}
