import test from 'ava';
import { type Bundle, issuerOf, readBundle, secretData } from './bundle.ts';
import { type Certificate, isFor, isIssuedBy } from './certificate.ts';
import {
  freshBundle,
  nextStep,
  ROTATION_POLICY,
  type RotationInput,
  type Step,
  stepped,
} from './rotation.ts';

const DAY = 86_400_000;
const START = Date.UTC(2030, 0, 1);
const HOSTS = ['injector.cortexflow.svc', 'injector', '127.0.0.1'];

function at(now: number, isTrusted: RotationInput['isTrusted'] = () => true): RotationInput {
  return { hosts: HOSTS, now, policy: ROTATION_POLICY, isTrusted };
}

interface Moment {
  readonly now: number;
  readonly step: Step['kind'] | 'fresh';
  readonly bundle: Bundle;
}

/** What a replica that lives for so long does, and when. */
async function life(days: number): Promise<Moment[]> {
  let now = START;
  let bundle = await freshBundle(at(now));
  const moments: Moment[] = [{ now, step: 'fresh', bundle }];
  while (now < START + days * DAY) {
    const step = nextStep(bundle, at(now));
    if (step.kind === 'rest') {
      if (step.until <= now) throw new Error('rests until the past');
      now = step.until;
      continue;
    }
    bundle = await stepped(step, bundle, at(now));
    moments.push({ now, step: step.kind, bundle });
  }
  return moments;
}

test('nineteen years: what is served is always valid, and trusted an overlap before and after', async (t) => {
  const moments = await life(19 * 365);
  const kinds = moments.map(({ step }) => step);
  t.is(kinds.filter((kind) => kind === 'new authority').length, 2);
  t.is(kinds.filter((kind) => kind === 'retire authorities').length, 2);
  t.true(kinds.filter((kind) => kind === 'new certificate').length > 100);
  const spans = moments.map(({ now, bundle }, index) => ({
    now,
    bundle,
    end: moments[index + 1]?.now ?? now,
  }));
  for (const { now, end, bundle } of spans) {
    const { certificate } = bundle.server;
    t.true(certificate.from <= now && certificate.until > end + 20 * DAY);
    const others = spans.filter(
      (other) => other.end > now - ROTATION_POLICY.overlapMs && other.now < end + ROTATION_POLICY.overlapMs,
    );
    for (const other of others) {
      t.true(other.bundle.authorities.some((authority) => isIssuedBy(certificate, authority)));
    }
  }
});

test('a certificate is for all its hosts, and a new name makes a new one', async (t) => {
  const bundle = await freshBundle(at(START));
  for (const host of HOSTS) t.true(isFor(bundle.server.certificate, host), host);
  t.false(isFor(bundle.server.certificate, 'other.cortexflow.svc'));
  t.is(nextStep(bundle, at(START)).kind, 'rest');
  t.deepEqual(nextStep(bundle, { ...at(START), hosts: [...HOSTS, 'webhook.example'] }), {
    kind: 'new certificate',
  });
});

test('an authority that nobody is seen to trust signs nothing that is served', async (t) => {
  const now = START + 7 * 365 * DAY;
  const renewed = await stepped({ kind: 'new certificate' }, await freshBundle(at(START)), at(now));
  const handedOver = await stepped({ kind: 'new authority' }, renewed, at(now));
  const later = now + 2 * ROTATION_POLICY.overlapMs;
  t.is(
    nextStep(
      handedOver,
      at(later, () => false),
    ).kind,
    'rest',
  );
  t.deepEqual(nextStep(handedOver, at(later)), { kind: 'new certificate' });
  const expired = later + 100 * DAY;
  t.deepEqual(
    nextStep(
      handedOver,
      at(expired, () => false),
    ),
    { kind: 'new certificate' },
  );
});

test('what a replica made whose clock was ahead is made anew', async (t) => {
  const ahead = START + 30 * DAY;
  const good = await freshBundle(at(START));
  const early = await stepped({ kind: 'new certificate' }, good, at(ahead));
  t.deepEqual(nextStep(early, at(START)), { kind: 'new certificate' });
  t.is(nextStep(await stepped({ kind: 'new certificate' }, early, at(START)), at(START)).kind, 'rest');
  // Clocks may differ by as much as certificates are valid before they are made.
  t.is(nextStep(early, at(ahead - ROTATION_POLICY.backdateMs)).kind, 'rest');

  const bad = await freshBundle(at(ahead));
  const steps: string[] = [];
  let bundle = bad;
  for (let step = nextStep(bundle, at(START)); step.kind !== 'rest'; step = nextStep(bundle, at(START))) {
    steps.push(step.kind);
    bundle = await stepped(step, bundle, at(START));
  }
  t.deepEqual(steps, ['new authority', 'new certificate']);
  // The replica whose clock is ahead is content with it, and what it may serve still stays trusted.
  t.not(nextStep(bundle, at(ahead)).kind, 'new certificate');
  t.deepEqual(pems(bundle).slice(1), pems(bad));
});

test('after years without an API server all is renewed step by step', async (t) => {
  let bundle = await freshBundle(at(START));
  const now = START + 30 * 365 * DAY;
  const steps: string[] = [];
  for (let step = nextStep(bundle, at(now)); step.kind !== 'rest'; step = nextStep(bundle, at(now))) {
    steps.push(step.kind);
    bundle = await stepped(step, bundle, at(now));
  }
  t.deepEqual(steps, ['new authority', 'new certificate']);
  t.is(bundle.authorities.length, 1);
  t.is(issuerOf(bundle), bundle.authorities[0]);
});

test('a fresh one goes on trusting what may be served still, and lets go of it later', async (t) => {
  const old = await freshBundle(at(START));
  const fresh = await freshBundle(at(START), old.authorities);
  t.is(fresh.authorities.length, 2);
  t.deepEqual(nextStep(fresh, at(START)), { kind: 'rest', until: START + ROTATION_POLICY.overlapMs });
  t.deepEqual(nextStep(fresh, at(START + ROTATION_POLICY.overlapMs)), { kind: 'retire authorities' });
  const muchLater = await freshBundle(at(START + 11 * 365 * DAY), old.authorities);
  t.is(muchLater.authorities.length, 1);
});

function pems({ authorities }: Bundle): string[] {
  return authorities.map(({ pem }: Certificate) => pem);
}

function encoded(text: string): string {
  return Buffer.from(text).toString('base64');
}

test('what is written to the Secret is what is read from it', async (t) => {
  const bundle = await freshBundle(at(START), (await freshBundle(at(START))).authorities);
  const read = readBundle(secretData(bundle));
  if (!read.ok) throw new Error(read.why);
  t.deepEqual(pems(read.bundle), pems(bundle));
  t.is(read.bundle.server.certificate.pem, bundle.server.certificate.pem);
  t.is(read.bundle.server.key, bundle.server.key);
  t.is(read.bundle.authorityKey, bundle.authorityKey);
});

test('a Secret that is of no use, and why', async (t) => {
  const good = secretData(await freshBundle(at(START)));
  const other = secretData(await freshBundle(at(START)));
  const why = (change: Record<string, string>): string => {
    const read = readBundle({ ...good, ...change });
    return read.ok ? 'ok' : read.why;
  };
  t.is(why({}), 'ok');
  t.deepEqual(readBundle(undefined), {
    ok: false,
    why: 'it has no ca.crt, no ca.key, no tls.crt, no tls.key',
  });
  t.is(why({ 'ca.key': '' }), 'it has no ca.key');
  t.is(why({ 'tls.crt': encoded('garbage') }), 'tls.crt holds no certificate');
  t.is(why({ 'ca.crt': '%%%' }), 'ca.crt holds no certificate');
  t.regex(
    why({ 'tls.crt': encoded('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----') }),
    /^a certificate or key in it cannot be read: /,
  );
  t.regex(why({ 'tls.key': encoded('garbage') }), /^a certificate or key in it cannot be read: /);
  t.is(why({ 'tls.key': other['tls.key']! }), 'tls.key is not the key of the certificate in tls.crt');
  t.is(why({ 'ca.key': other['ca.key']! }), 'ca.key is not the key of the first certificate in ca.crt');
  t.is(
    why({ 'ca.crt': other['ca.crt']!, 'ca.key': other['ca.key']! }),
    'the certificate in tls.crt is issued by none of those in ca.crt',
  );
  t.is(
    why({ 'ca.crt': good['tls.crt']!, 'ca.key': good['tls.key']! }),
    "ca.crt holds a certificate that is no authority's",
  );
});
