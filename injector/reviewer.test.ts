import test from 'ava';
import * as fc from 'fast-check';
import { applyPatch } from '../test/injector/json-patch.ts';
import { PLAIN_POD, podReview, responseIn, type ReviewResponse } from '../test/injector/reviews.ts';
import type { Namespace } from './eligibility.ts';
import { createInjection } from './injection.ts';
import type { Pod } from './pod.ts';
import { createReviewer, type ReviewAnswer } from './reviewer.ts';

const injection = createInjection({
  image: 'cortexflow/sidecar:0.1.0',
  controlPlane: ['control-plane.cortexflow.svc:18000'],
  adminHost: '0.0.0.0',
  resources: {},
});

const reviewer = createReviewer({ findNamespace: (name) => ({ name }), injection: () => injection });

function answerTo(review: unknown): ReviewAnswer {
  const answer = reviewer(typeof review === 'string' ? review : JSON.stringify(review));
  if (answer instanceof Promise) throw new Error('the namespace is known: nothing to wait for');
  return answer;
}

function responseTo(pod: object, request?: Record<string, unknown>): ReviewResponse {
  return responseIn(answerTo(podReview(pod, request)).text);
}

test('a pod is injected: the uid comes back, the patch is base64', (t) => {
  const { uid, allowed, patchType, patch = '', ...rest } = responseTo(PLAIN_POD);
  t.deepEqual([uid, allowed, patchType], ['705ab4f5-6393-11e8-b7cc-42010a800002', true, 'JSONPatch']);
  t.deepEqual(rest, { auditAnnotations: { outcome: 'injected' } });
  const pod = applyPatch(PLAIN_POD as Pod, JSON.parse(Buffer.from(patch, 'base64').toString()));
  t.deepEqual(
    pod.spec.initContainers?.map(({ name }) => name),
    ['proxy-init', 'proxy-sidecar'],
  );
});

test('a patch that is kept is the patch of the next pod of that shape, and of no other', (t) => {
  const bare = { ...PLAIN_POD, metadata: {} };
  const first = responseTo(PLAIN_POD).patch;
  t.is(responseTo({ ...PLAIN_POD, metadata: { labels: { other: 'one' } } }).patch, first);
  t.not(responseTo(bare).patch, first);
  t.not(responseTo({ ...PLAIN_POD, spec: { ...PLAIN_POD.spec, volumes: [] } }).patch, first);
  t.not(responseTo({ ...PLAIN_POD, spec: { ...PLAIN_POD.spec, initContainers: [] } }).patch, first);
  const withLevel = (level: string): string | undefined => {
    const metadata = { ...PLAIN_POD.metadata, annotations: { 'cortexflow.io/log-level': level } };
    return responseTo({ ...PLAIN_POD, metadata }).patch;
  };
  t.not(withLevel('debug'), first);
  t.not(withLevel('debug'), withLevel('error'));
  t.is(withLevel('debug'), withLevel('debug'));
});

test('a pod that is not eligible is allowed as it is, and the audit log hears why', (t) => {
  const spec = { ...PLAIN_POD.spec, hostNetwork: true };
  t.deepEqual(responseTo({ ...PLAIN_POD, spec }), {
    uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
    allowed: true,
    auditAnnotations: { outcome: 'skipped', reason: "it is on the node's network (hostNetwork: true)" },
  });
});

test('given a pod that was injected, allows it as it is, without its warnings', (t) => {
  const metadata = { ...PLAIN_POD.metadata, annotations: { 'cortexflow.io/log-levle': 'info' } };
  const first = responseTo({ ...PLAIN_POD, metadata });
  t.is(first.warnings?.length, 1);
  const patch = JSON.parse(Buffer.from(first.patch ?? '', 'base64').toString());
  const injected = applyPatch({ ...PLAIN_POD, metadata }, patch);
  t.deepEqual(responseTo(injected), {
    uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
    allowed: true,
    auditAnnotations: { outcome: 'skipped', reason: 'it already has a proxy (container proxy-sidecar)' },
  });
});

test('the namespace is that of the request', (t) => {
  const { auditAnnotations } = responseTo(PLAIN_POD, { namespace: 'kube-system' });
  t.is(auditAnnotations?.['reason'], 'namespace kube-system is never injected');
});

test('a mistake is refused, and the pod is called as its author calls it', (t) => {
  const annotations = { 'cortexflow.io/log-level': 'loud' };
  const mistaken = (metadata: object): string | undefined =>
    responseTo({ ...PLAIN_POD, metadata: { ...metadata, annotations } }).status?.message;
  const what = 'annotation cortexflow.io/log-level is "loud": use one of error, warn, info, debug';
  t.is(mistaken({ name: 'web' }), `pod web: ${what}`);
  t.is(mistaken({ generateName: 'web-' }), `pod web-*: ${what}`);
  t.is(mistaken({}), `pod without a name: ${what}`);
});

test('of very many mistakes the first ones are told', (t) => {
  const containers = Array.from({ length: 500 }, (_, index) => ({
    name: `c${index}`,
    ports: [{ containerPort: 5054 }],
  }));
  const message = responseTo({ ...PLAIN_POD, spec: { containers } }).status?.message ?? '';
  t.regex(message, /; and 490 more$/);
});

test('given names of any length and any number of warnings, answers in a few kilobytes', (t) => {
  const name = 'x'.repeat(100_000);
  const each = { ports: [{ containerPort: 5054 }], securityContext: { runAsUser: 2102 } };
  const containers = Array.from({ length: 20 }, (_, index) => ({ name: `${index}${name}`, ...each }));
  const bytesFor = (spec: object): number => answerTo(podReview({ metadata: { name }, spec })).text.length;
  t.true(bytesFor({ containers }) < 20_000);
  const withoutPorts = containers.map(({ name: called, securityContext }) => ({
    name: called,
    securityContext,
  }));
  const { warnings = [] } = responseTo({ metadata: { name }, spec: { containers: withoutPorts } });
  t.is(warnings.length, 11);
  t.true(warnings.join('').length < 10_000);
});

test('what a pod is called cannot break a line', (t) => {
  const containers = [{ name: 'a\nb', ports: [{ containerPort: 5054 }] }];
  t.notRegex(responseTo({ ...PLAIN_POD, spec: { containers } }).status?.message ?? '\n', /\n/);
});

test('a namespace that cannot be read has no opinion, and that is a warning', async (t) => {
  const waiting = createReviewer({
    findNamespace: () => Promise.resolve(undefined),
    injection: () => injection,
  });
  const { warnings, auditAnnotations } = responseIn(
    (await waiting(JSON.stringify(podReview(PLAIN_POD)))).text,
  );
  t.is(auditAnnotations?.['outcome'], 'injected');
  t.deepEqual(warnings, [
    'pod web: namespace demo could not be read: what it says about proxy-injection does not count',
  ]);
});

test('a namespace that has to be asked for counts', async (t) => {
  const labels = { 'proxy-injection': 'disabled' };
  const asking = createReviewer({
    findNamespace: async (name): Promise<Namespace> => ({ name, labels }),
    injection: () => injection,
  });
  const { auditAnnotations } = responseIn((await asking(JSON.stringify(podReview(PLAIN_POD)))).text);
  t.is(auditAnnotations?.['reason'], 'its namespace, demo, says proxy-injection: disabled');
});

test('pods that are not made just now are let through', (t) => {
  for (const request of [
    { operation: 'UPDATE' },
    { subResource: 'ephemeralcontainers' },
    { operation: 'DELETE' },
  ]) {
    const { allowed, patch, auditAnnotations } = responseTo(PLAIN_POD, request);
    t.deepEqual([allowed, patch, auditAnnotations?.['outcome']], [true, undefined, 'skipped']);
  }
});

test('what is no review of a pod is answered with a sentence', (t) => {
  const sentences: readonly (readonly [unknown, RegExp])[] = [
    ['', /^the body is no JSON: /],
    ['{', /^the body is no JSON: /],
    ['null', /^the body is no AdmissionReview: its kind is missing$/],
    [[], /^the body is no AdmissionReview: its kind is missing$/],
    [{ kind: 'Pod' }, /^the body is no AdmissionReview: its kind is "Pod"$/],
    [
      { kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1beta1' },
      /^the AdmissionReview is of "admission.k8s.io\/v1beta1": this webhook speaks admission.k8s.io\/v1; set/,
    ],
    [{ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1' }, /^the AdmissionReview has no request$/],
    [podReview(PLAIN_POD, { uid: 7 }), /^request.uid is no text$/],
    [podReview(PLAIN_POD, { namespace: '' }), /^request.namespace is no text$/],
    [
      podReview({}, { kind: { group: 'apps', version: 'v1', kind: 'Deployment' } }),
      /^request.kind is ".*Deployment.*": this webhook reviews pods alone; set resources: \["pods"\] in its rules$/,
    ],
    [podReview({ metadata: {}, spec: {} }), /^request.object is no pod: spec.containers is not a list$/],
  ];
  for (const [review, sentence] of sentences) {
    const { status, outcome, text } = answerTo(review);
    t.deepEqual([status, outcome], [400, 'error']);
    t.regex(text, sentence);
  }
});

test('anything at all is answered', (t) => {
  const field = fc.oneof(fc.jsonValue(), fc.constant(PLAIN_POD), fc.constant('CREATE'));
  const request = fc.record(
    { uid: field, kind: field, namespace: field, operation: field, object: field },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        request.map((fields) => JSON.stringify(podReview({}, fields))),
      ),
      (body) => {
        const { status, text } = answerTo(body);
        if (status === 200) responseIn(text);
        else if (text === '') throw new Error('no sentence');
      },
    ),
    { numRuns: 3000 },
  );
  t.pass();
});
