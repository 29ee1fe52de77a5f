import { containersOf, type NodeSelectorTerm, type Pod, type WindowsContext } from './pod.ts';

const OS_LABELS = ['kubernetes.io/os', 'beta.kubernetes.io/os'] as const;

/**
 * Whether a pod can run on Windows nodes alone. What it says of its system and of its nodes decides; options for
 * Windows do where it says neither, since on Linux they have no effect. A RuntimeClass is not looked up: what it says
 * of nodes is in the pod's nodeSelector by the time of a review.
 */
export function isWindows(pod: Pod): boolean {
  const { os, nodeSelector, affinity } = pod.spec;
  if (os) return os.name === 'windows';
  const selected = OS_LABELS.flatMap((label) => nodeSelector?.[label] ?? []);
  if (selected.length > 0) return selected.includes('windows');
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return requiresWindows(terms ?? []) || hasWindowsOptions(pod);
}

/** Terms are alternatives; one that asks for nothing selects no node. */
function requiresWindows(terms: readonly NodeSelectorTerm[]): boolean {
  const effective = terms.filter(
    ({ matchExpressions, matchFields }) => matchExpressions?.length || matchFields?.length,
  );
  return effective.length > 0 && effective.every(isForWindows);
}

function isForWindows({ matchExpressions }: NodeSelectorTerm): boolean {
  return (matchExpressions ?? []).some(
    ({ key, operator, values }) =>
      OS_LABELS.some((label) => label === key) &&
      ((operator === 'In' && values?.length && values.every((value) => value === 'windows')) ||
        // There are no others.
        (operator === 'NotIn' && values?.includes('linux'))),
  );
}

function hasWindowsOptions(pod: Pod): boolean {
  return [pod.spec, ...containersOf(pod)].some(({ securityContext }) =>
    isSet(securityContext?.windowsOptions),
  );
}

function isSet(options: WindowsContext | null | undefined): boolean {
  return Object.values(options ?? {}).some((value) => value !== null && value !== false && value !== '');
}
