import { type Bundle, issuerOf } from './bundle.ts';
import { type Certificate, isFor, sameCertificate } from './certificate.ts';
import { issueAuthority, issueServer, type Validity } from './issue.ts';

/** In milliseconds. */
export interface RotationPolicy {
  readonly authorityLifeMs: number;
  readonly serverLifeMs: number;
  /** How long an authority is trusted before anything it issued is served, and after it is not served any more. */
  readonly overlapMs: number;
  /** Certificates are valid from so long before they are made: clocks differ. */
  readonly backdateMs: number;
  /** However far away the next step is, the clock may be set meanwhile: how soon to look again. */
  readonly recheckMs: number;
  /** A replica takes the same step again no sooner: where clocks or hosts differ, replicas undo each other's. */
  readonly repeatMs: number;
}

const DAY_MS = 86_400_000;

export const ROTATION_POLICY: RotationPolicy = {
  authorityLifeMs: 3_650 * DAY_MS,
  serverLifeMs: 90 * DAY_MS,
  overlapMs: 3_600_000,
  backdateMs: 600_000,
  recheckMs: 3_600_000,
  repeatMs: 60_000,
};

/** What is known when the next step is chosen. */
export interface RotationInput {
  readonly hosts: readonly string[];
  /** In milliseconds since 1970. */
  readonly now: number;
  readonly policy: RotationPolicy;
  /** Whether API servers trust this authority already, as far as anybody can see. */
  readonly isTrusted: (authority: Certificate) => boolean;
}

export type Step =
  /** Nothing to do before that moment, in milliseconds since 1970. */
  | { readonly kind: 'rest'; readonly until: number }
  /** A new authority signs from now on, trusted beside the old one; what is served stays. */
  | { readonly kind: 'new authority' }
  /** What is served is issued anew, by the authority that signs. */
  | { readonly kind: 'new certificate' }
  /** The old authorities are trusted no longer. */
  | { readonly kind: 'retire authorities' };

/**
 * Certificates are renewed after two thirds of their life. When it is the authority's turn, the steps are an
 * overlap apart, so that whatever a replica serves and an API server trusts meanwhile, they agree. All that is
 * needed to tell the step is in the certificates, so replicas come to the same one.
 */
export function nextStep(bundle: Bundle, input: RotationInput): Step {
  const { now, hosts } = input;
  const [signer] = bundle.authorities;
  const { certificate } = bundle.server;
  // What is not valid yet was made by a replica whose clock was ahead, and is taken by no API server.
  if (now < signer.from || now >= renewalOf(signer)) return { kind: 'new authority' };
  if (issuerOf(bundle) !== signer) {
    const isValid = now >= certificate.from && now < certificate.until;
    return isValid ? handOver(signer, input) : { kind: 'new certificate' };
  }
  return now < certificate.from ||
    now >= renewalOf(certificate) ||
    !hosts.every((host) => isFor(certificate, host))
    ? { kind: 'new certificate' }
    : retirement(bundle, input);
}

/** What is served is by an old authority, and still valid: the new one is first made known everywhere. */
function handOver(signer: Certificate, { now, policy, isTrusted }: RotationInput): Step {
  const known = madeAt(signer, policy) + policy.overlapMs;
  if (now < known) return { kind: 'rest', until: known };
  return isTrusted(signer) ? { kind: 'new certificate' } : { kind: 'rest', until: now + policy.overlapMs };
}

function retirement({ authorities, server }: Bundle, { now, policy }: RotationInput): Step {
  const renewal = Math.min(renewalOf(server.certificate), renewalOf(authorities[0]));
  if (authorities.length === 1) return { kind: 'rest', until: renewal };
  const unused = madeAt(server.certificate, policy) + policy.overlapMs;
  return now >= unused ? { kind: 'retire authorities' } : { kind: 'rest', until: Math.min(renewal, unused) };
}

/** The bundle after the step. */
export async function stepped(
  { kind }: Exclude<Step, { readonly kind: 'rest' }>,
  bundle: Bundle,
  input: RotationInput,
): Promise<Bundle> {
  const { authorities, authorityKey } = bundle;
  if (kind === 'retire authorities') return { ...bundle, authorities: [authorities[0]] };
  if (kind === 'new authority') {
    const { certificate, key } = await issueAuthority(validity(input, input.policy.authorityLifeMs));
    const stillValid = authorities.filter(({ until }) => until > input.now);
    return { ...bundle, authorities: [certificate, ...stillValid], authorityKey: key };
  }
  const signer = { certificate: authorities[0], key: authorityKey };
  const server = await issueServer(signer, input.hosts, validity(input, input.policy.serverLifeMs));
  return { ...bundle, server };
}

/** From nothing. `trusted` are authorities that something still served may have been issued by. */
export async function freshBundle(
  input: RotationInput,
  trusted: readonly Certificate[] = [],
): Promise<Bundle> {
  const authority = await issueAuthority(validity(input, input.policy.authorityLifeMs));
  const server = await issueServer(authority, input.hosts, validity(input, input.policy.serverLifeMs));
  const others = trusted.filter(
    (other) => other.until > input.now && !sameCertificate(other, authority.certificate),
  );
  return { authorities: [authority.certificate, ...others], authorityKey: authority.key, server };
}

function validity({ now, policy }: RotationInput, lifeMs: number): Validity {
  return { from: now - policy.backdateMs, until: now + lifeMs };
}

function madeAt({ from }: Certificate, { backdateMs }: RotationPolicy): number {
  return from + backdateMs;
}

function renewalOf({ from, until }: Certificate): number {
  return from + ((until - from) * 2) / 3;
}
