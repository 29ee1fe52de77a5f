import type { Field } from './field.ts';
import type { ObjectIdentity } from './object.ts';

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
/** As the Kubernetes API server has it: only the whole is limited in length, its labels are not. */
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const SUBDOMAIN_LENGTH = 253;

/** A DNS label (RFC 1123): what namespaces, Services and ports are named by. Absent is the empty string. */
export function dnsLabel(field: Field): string {
  const text = field.text();
  if (text !== '' && !isDnsLabel(text)) {
    field.reject('use up to 63 lower-case letters, digits and dashes, with a letter or digit at both ends');
  }
  return text;
}

/** A DNS name of one or more labels (RFC 1123): what slices, pods and nodes are named by. Absent is the empty string. */
export function dnsSubdomain(field: Field): string {
  const text = field.text();
  if (text !== '' && !isDnsSubdomain(text)) {
    field.reject('use a DNS name: lower-case letters, digits, dashes and dots, at most 253 of them');
  }
  return text;
}

/** Checks the names that an object is known by, since they become part of resource names on the wire. */
export function checkIdentity(root: Field, { kind }: ObjectIdentity): void {
  const metadata = root.at('metadata');
  const namespace = metadata.at('namespace');
  if (kind !== 'Node') dnsLabel(namespace);
  else if (!namespace.isBlank) namespace.reject('leave it out: a Node belongs to no namespace');
  if (kind === 'Service') dnsLabel(metadata.at('name'));
  else dnsSubdomain(metadata.at('name'));
}

/** Not empty. */
export function isDnsLabel(text: string): boolean {
  return LABEL.test(text);
}

/** A DNS name of one or more labels (RFC 1123), not empty. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= SUBDOMAIN_LENGTH && SUBDOMAIN.test(text);
}
