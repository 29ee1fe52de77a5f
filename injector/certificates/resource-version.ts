import type { KubernetesObject } from '../../api-server/api-server.ts';

/**
 * Whether an object is an older state than another one of the same name: a watch may tell of what a write has
 * replaced already. Versions are to be compared as numbers (KEP-5504); what is no number is never older.
 */
export function isOlder(a: KubernetesObject | undefined, b: KubernetesObject | undefined): boolean {
  const [one, other] = [versionOf(a), versionOf(b)];
  return one !== undefined && other !== undefined && one < other;
}

function versionOf(object: KubernetesObject | undefined): bigint | undefined {
  const version = object?.metadata.resourceVersion ?? '';
  return /^\d+$/u.test(version) ? BigInt(version) : undefined;
}
