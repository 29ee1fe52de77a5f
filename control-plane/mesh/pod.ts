import { INJECTED_LABEL } from '../../wire/pod.ts';
import { parseAddress } from './address.ts';
import { Field, Problems } from './field.ts';
import { checkIdentity, dnsSubdomain } from './name.ts';
import type { Identity } from './object.ts';
import type { Parsed } from './parsed.ts';
import { parsed } from './parsed.ts';

/** A pod of the mesh: one that has a sidecar. There may be very many, so no more of it is kept than is needed. */
export interface Pod {
  /** In the pod's namespace. */
  readonly serviceAccount: string;
  /** Its own, as the kubelet tells them; none before it has one. Only what is reached there is this pod. */
  readonly addresses: readonly string[];
}

/** Kubernetes gives a pod one of each family. */
const MOST_ADDRESSES = 8;

/** What the API server writes where nobody has said. */
const DEFAULT_SERVICE_ACCOUNT = 'default';

/**
 * Reads a `v1 Pod` by the rules of the Kubernetes API; undefined: it has no sidecar, and what else it is does not
 * matter. Never throws.
 */
export function parsePod(object: unknown, identity: Identity<'Pod'>): Parsed<Pod | undefined> {
  const [problems, warnings] = [new Problems(), new Problems()];
  const root = new Field(object, '', problems);
  const isInMesh = root.at('metadata').at('labels').at(INJECTED_LABEL).text() === 'true';
  if (!isInMesh) return parsed(undefined, problems, warnings);
  checkIdentity(root, identity);
  const serviceAccount = dnsSubdomain(root.at('spec').at('serviceAccountName')) || DEFAULT_SERVICE_ACCOUNT;
  const addresses = root
    .at('status')
    .at('podIPs')
    .list(MOST_ADDRESSES)
    .map((field) => parseIp(field.at('ip')));
  return parsed({ serviceAccount, addresses }, problems, warnings);
}

/** Whether two are the same in all that the mesh wants of a pod. */
export function samePod(a: Pod | undefined, b: Pod | undefined): boolean {
  return a?.serviceAccount === b?.serviceAccount && a?.addresses.join() === b?.addresses.join();
}

function parseIp(field: Field): string {
  const address = typeof field.value === 'string' ? parseAddress(field.value) : undefined;
  if (address === undefined) field.reject('use an IP address');
  return address?.text ?? '';
}
