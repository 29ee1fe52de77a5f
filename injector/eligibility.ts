import { INJECTED_LABEL } from '../wire/pod.ts';
import { conflictsOf, surprisesOf } from './conflicts.ts';
import { type Labelled, type Wish, wishOf } from './injection-wish.ts';
import { COMPONENT_LABEL, INJECTION } from './names.ts';
import { type Options, readOptions } from './options.ts';
import { containersOf, type Pod } from './pod.ts';
import { type Remains, remainsOf } from './remains.ts';
import { isWindows } from './windows.ts';

/** Where a pod is to be created. What could not be learned of it is left out: it has no opinion then. */
export interface Namespace extends Labelled {
  readonly name: string;
}

export type Eligibility =
  | { readonly kind: 'eligible'; readonly options: Options; readonly warnings: readonly string[] }
  /** Completes "not injected: …". */
  | { readonly kind: 'ineligible'; readonly reason: string; readonly warnings: readonly string[] }
  /** It would be injected, but for mistakes that only its author can mend. */
  | { readonly kind: 'mistaken'; readonly mistakes: readonly string[] };

/** What keeps a cluster alive starts without the mesh, whatever it says. */
const SYSTEM_NAMESPACES: ReadonlySet<string> = new Set(['kube-system', 'kube-public', 'kube-node-lease']);

/** A container by which a pod says that it brings a proxy of its own. */
const OWN_PROXY = 'cortexflow-proxy';

/** Of all names and values of annotations; Kubernetes' TotalAnnotationSizeLimitB. */
const MOST_ANNOTATION_BYTES = 256 * 1024;

/** The annotation that the kubelet puts on what it shows of a static pod. */
const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';

const ENFORCE_LABEL = 'pod-security.kubernetes.io/enforce';

export const POD_SECURITY_LEVELS = ['privileged', 'baseline', 'restricted'] as const;

/** What a pod does not say, and its namespace neither. */
export interface Surroundings {
  /** The namespace of the mesh's own pods. */
  readonly meshNamespace: string;
  /** The Pod Security Standard that the API server enforces in a namespace that names none. */
  readonly podSecurityDefault: (typeof POD_SECURITY_LEVELS)[number];
}

const USUAL: Surroundings = { meshNamespace: 'cortexflow', podSecurityDefault: 'privileged' };

/** Whether a pod gets a sidecar, and with which options; if not, why. Pure. */
export function checkAndValidatePod(
  pod: Pod,
  namespace: Namespace,
  surroundings: Surroundings = USUAL,
): Eligibility {
  const own = wishOf(pod.metadata);
  const remains = remainsOf(pod);
  const obstacle = obstacleOf(pod, namespace.name, surroundings);
  if (obstacle !== undefined) return kept(pod, own, obstacle, remains);
  if (own.kind === 'unclear') return { kind: 'mistaken', mistakes: [own.sentence] };
  if (own.kind === 'disabled') return leftOut(pod, remains, `the pod says ${INJECTION}: disabled`);

  const theirs = wishOf(namespace);
  const warnings = unclearNamespace(namespace.name, theirs);
  if (own.kind === 'none') {
    if (theirs.kind === 'disabled') {
      return leftOut(pod, remains, `its namespace, ${namespace.name}, says ${INJECTION}: disabled`);
    }
    const ban = theirs.kind === 'enabled' ? undefined : podSecurityBan(namespace, surroundings);
    if (ban !== undefined)
      return { kind: 'ineligible', reason: ban, warnings: [...warnings, `not injected: ${ban}`] };
  }
  return withOptions(pod, warnings);
}

function withOptions(whole: Pod, warnings: readonly string[]): Eligibility {
  const pod = remainsOf(whole)?.rest ?? whole;
  const read = readOptions(pod.metadata.annotations);
  const mistakes = [...read.mistakes, ...conflictsOf(pod, read.options)];
  if (mistakes.length > 0) return { kind: 'mistaken', mistakes };
  return {
    kind: 'eligible',
    options: read.options,
    warnings: [...warnings, ...read.warnings, ...surprisesOf(pod, read.options)],
  };
}

interface Obstacle {
  readonly reason: string;
  /** The pod has what it asks for. */
  readonly isSatisfied?: true;
  /** A proxy of ours would do harm in it, or keep it from running. */
  readonly isAgainstProxies?: true;
}

/** What keeps a pod out of the mesh whatever it and its namespace say. */
function obstacleOf(pod: Pod, namespace: string, { meshNamespace }: Surroundings): Obstacle | undefined {
  const { metadata, spec } = pod;
  // First: whatever else is so, a proxy would write its rules into the node's network, or keep the pod from starting.
  if (spec.hostNetwork) {
    return { reason: "it is on the node's network (hostNetwork: true)", isAgainstProxies: true };
  }
  if (isWindows(pod)) return { reason: 'it runs on Windows', isAgainstProxies: true };
  if (SYSTEM_NAMESPACES.has(namespace)) return { reason: `namespace ${namespace} is never injected` };
  if (namespace === meshNamespace && isComponent(pod)) {
    return { reason: `it is a part of the mesh itself (label ${COMPONENT_LABEL})` };
  }
  if (containersOf(pod).some(({ name }) => name === OWN_PROXY)) {
    const reason = `it already has a proxy (container ${OWN_PROXY})`;
    return { reason, isSatisfied: true, isAgainstProxies: true };
  }
  if (metadata.annotations?.[MIRROR_ANNOTATION] !== undefined) {
    return { reason: 'it is the mirror of a static pod, which the kubelet runs as it is' };
  }
  return isOverAnnotated(metadata.annotations)
    ? { reason: 'its annotations are longer than 256 KiB, which the API server refuses' }
    : undefined;
}

/** A pod is reviewed before it is validated. */
function isOverAnnotated(annotations: Pod['metadata']['annotations']): boolean {
  let bytes = 0;
  for (const name in annotations) {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(annotations[name] ?? '');
  }
  return bytes > MOST_ANNOTATION_BYTES;
}

/** Anybody may label a pod: it counts in the mesh's own namespace alone. */
function isComponent({ metadata }: Pod): boolean {
  return metadata.labels?.[COMPONENT_LABEL] !== undefined;
}

function kept(pod: Pod, own: Wish, obstacle: Obstacle, remains: Remains | undefined): Eligibility {
  const { reason, isAgainstProxies } = obstacle;
  const containers = remains?.containers ?? [];
  return isAgainstProxies && containers.length > 0
    ? { kind: 'mistaken', mistakes: [unbearable(reason, containers)] }
    : { kind: 'ineligible', ...obstacle, warnings: disappointed(pod, own, obstacle, remains) };
}

/** Such as a pod that another webhook has put on the node's network, where proxy-init would redirect the node's. */
function unbearable(reason: string, containers: readonly string[]): string {
  const names = [...new Set(containers)].join(' and ');
  return `it has the proxy's own ${names}, and cannot have them, since ${reason}: take them out`;
}

/** Whoever asked for the mesh in vain hears of it. */
function disappointed(
  pod: Pod,
  own: Wish,
  { reason, isSatisfied }: Obstacle,
  remains: Remains | undefined,
): string[] {
  if (isSatisfied) return [];
  const asked = own.kind === 'enabled' ? [`${INJECTION}: enabled does nothing here: ${reason}`] : [];
  return [...asked, ...falselyLabelled(pod, remains)];
}

function leftOut(pod: Pod, remains: Remains | undefined, reason: string): Eligibility {
  const copied = (remains?.containers ?? []).length > 0 ? [stillInjected(remains?.containers ?? [])] : [];
  return { kind: 'ineligible', reason, warnings: [...copied, ...falselyLabelled(pod, remains)] };
}

/** Such as a copy of an injected pod, which asks to be left out. */
function stillInjected(containers: readonly string[]): string {
  const names = [...new Set(containers)].join(' and ');
  return `${INJECTION}: disabled does not take a proxy out: the pod has ${names}, which still redirect its connections; take them out`;
}

function falselyLabelled({ metadata }: Pod, remains: Remains | undefined): string[] {
  if (remains !== undefined && remains.containers.length > 0) return [];
  return metadata.labels?.[INJECTED_LABEL] === 'true'
    ? [
        `label ${INJECTED_LABEL} says that the pod is in the mesh, and it is not: take it out, injected pods get ` +
          'it by themselves',
      ]
    : [];
}

/** A slip in a namespace must not keep all its pods from being made. */
function unclearNamespace(name: string, wish: Wish): string[] {
  return wish.kind === 'unclear'
    ? [`namespace ${name}: ${wish.sentence}; until then it counts as not set`]
    : [];
}

/**
 * Where the Pod Security Standards are enforced, no pod gets past the API server whose init container has
 * NET_ADMIN: better a pod outside the mesh than none. Whoever says `enabled` knows of an exemption.
 */
function podSecurityBan(
  { name, labels }: Namespace,
  { podSecurityDefault }: Surroundings,
): string | undefined {
  const own = labels?.[ENFORCE_LABEL];
  const level = own ?? podSecurityDefault;
  if (level !== 'baseline' && level !== 'restricted') return undefined;
  const enforced =
    own === undefined
      ? `namespace ${name} says nothing of Pod Security, and CORTEXFLOW_POD_SECURITY_DEFAULT of the injector is ${level}`
      : `namespace ${name} enforces the Pod Security Standard ${level}`;
  return (
    `${enforced}, which forbids the proxy's init container NET_ADMIN: label the namespace ` +
    `${ENFORCE_LABEL}=privileged, or ${INJECTION}=enabled if its pods are exempt`
  );
}
