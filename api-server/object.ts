import type { KubernetesObject } from './api-server.ts';

/** Whether it is an object that has a name. */
export function isNamed(value: unknown): value is KubernetesObject {
  return typeof metadataOf(value)?.['name'] === 'string';
}

/** The resourceVersion of an object or a list. */
export function versionOf(value: unknown): string | undefined {
  const version = metadataOf(value)?.['resourceVersion'];
  return typeof version === 'string' && version !== '' ? version : undefined;
}

function metadataOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== 'object' || value === null || !('metadata' in value)) return undefined;
  const { metadata } = value;
  return typeof metadata === 'object' && metadata !== null
    ? (metadata as Record<string, unknown>)
    : undefined;
}
