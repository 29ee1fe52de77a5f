import test from 'ava';
import { checkAndValidatePod, type Namespace } from './eligibility.ts';
import type { NodeSelectorTerm, Pod } from './pod.ts';

const demo: Namespace = { name: 'demo' };

function pod(metadata: Pod['metadata'] = {}, spec: Partial<Pod['spec']> = {}): Pod {
  return { metadata: { name: 'web', ...metadata }, spec: { containers: [{ name: 'app' }], ...spec } };
}

function annotated(length: number): Pod {
  return pod({ annotations: { 'cortexflow.io/a': 'x'.repeat(length) } });
}

function reason(subject: Pod, namespace: Namespace = demo): string {
  const eligibility = checkAndValidatePod(subject, namespace);
  return eligibility.kind === 'ineligible' ? eligibility.reason : eligibility.kind;
}

function warningsOf(subject: Pod, namespace: Namespace = demo): readonly string[] {
  const eligibility = checkAndValidatePod(subject, namespace);
  return eligibility.kind === 'mistaken' ? [] : eligibility.warnings;
}

function mistakesOf(subject: Pod, namespace: Namespace = demo): readonly string[] {
  const eligibility = checkAndValidatePod(subject, namespace);
  return eligibility.kind === 'mistaken' ? eligibility.mistakes : [];
}

test('every pod is eligible, in namespace cortexflow too', (t) => {
  t.deepEqual(checkAndValidatePod(pod(), demo), { kind: 'eligible', options: {}, warnings: [] });
  t.is(reason(pod(), { name: 'cortexflow' }), 'eligible');
  t.is(reason(pod(), { name: 'default', labels: null, annotations: null }), 'eligible');
});

test('pods of the system namespaces never are, whatever they say', (t) => {
  for (const name of ['kube-system', 'kube-public', 'kube-node-lease']) {
    t.is(reason(pod(), { name }), `namespace ${name} is never injected`);
    t.deepEqual(warningsOf(pod(), { name }), []);
    t.deepEqual(warningsOf(pod({ annotations: { 'proxy-injection': 'enabled' } }), { name }), [
      `proxy-injection: enabled does nothing here: namespace ${name} is never injected`,
    ]);
  }
});

test('the mesh itself, host network, mirrors, Windows', (t) => {
  const component = pod({ labels: { 'cortexflow.io/component': 'injector' } });
  t.is(
    reason(component, { name: 'cortexflow' }),
    'it is a part of the mesh itself (label cortexflow.io/component)',
  );
  // Anybody may write that label.
  t.is(reason(component), 'eligible');
  t.is(reason(pod({}, { hostNetwork: true })), "it is on the node's network (hostNetwork: true)");
  t.is(reason(pod({}, { hostNetwork: false })), 'eligible');
  t.is(
    reason(pod({ annotations: { 'kubernetes.io/config.mirror': '' } })),
    'it is the mirror of a static pod, which the kubelet runs as it is',
  );
  t.is(reason(pod({}, { os: { name: 'windows' } })), 'it runs on Windows');
  t.is(reason(pod({}, { nodeSelector: { 'kubernetes.io/os': 'windows' } })), 'it runs on Windows');
  t.is(reason(pod({}, { os: { name: 'linux' } })), 'eligible');
});

test('a pod with more annotations than the API server takes is not looked into', (t) => {
  t.is(reason(annotated(262_144 - 15)), 'eligible');
  t.is(
    reason(annotated(262_144 - 14)),
    'its annotations are longer than 256 KiB, which the API server refuses',
  );
});

test('a pod that brings a proxy of its own keeps it', (t) => {
  const containers = [{ name: 'cortexflow-proxy' }];
  const ownProxy = 'it already has a proxy (container cortexflow-proxy)';
  t.is(reason(pod({}, { containers })), ownProxy);
  t.is(reason(pod({}, { initContainers: containers })), ownProxy);
  t.deepEqual(warningsOf(pod({ annotations: { 'proxy-injection': 'enabled' } }, { containers })), []);
});

test('given a container that has a name of the proxy alone, refuses the pod', (t) => {
  for (const name of ['proxy-init', 'proxy-sidecar']) {
    for (const spec of [{ containers: [{ name }] }, { initContainers: [{ name, env: null }] }]) {
      t.deepEqual(mistakesOf(pod({ labels: { 'cortexflow.io/injected': 'true' } }, spec)), [
        `a container is called ${name} like the proxy's own, and is none, since it has no CORTEXFLOW_BOOTSTRAP: ` +
          'rename it, or leave this pod out of the mesh by annotating it proxy-injection: disabled',
      ]);
    }
  }
  const env = [{ name: 'CORTEXFLOW_BOOTSTRAP', value: '{}' }];
  t.deepEqual(mistakesOf(pod({}, { containers: [{ name: 'app', env }] })), [
    "container app has the variable CORTEXFLOW_BOOTSTRAP, which is for the proxy's own containers: take it out, or " +
      'leave this pod out of the mesh by annotating it proxy-injection: disabled',
  ]);
});

test('given a pod with the proxy that cannot have one, refuses it', (t) => {
  const env = [{ name: 'CORTEXFLOW_BOOTSTRAP', value: '{}' }];
  const initContainers = ['proxy-init', 'proxy-sidecar'].map((name) => ({ name, env }));
  t.deepEqual(mistakesOf(pod({}, { initContainers, hostNetwork: true })), [
    "it has the proxy's own proxy-init and proxy-sidecar, and cannot have them, since it is on the node's network " +
      '(hostNetwork: true): take them out',
  ]);
  t.is(mistakesOf(pod({}, { initContainers, os: { name: 'windows' } })).length, 1);
  t.is(mistakesOf(pod({}, { initContainers, containers: [{ name: 'cortexflow-proxy' }] })).length, 1);
  const labels = { 'cortexflow.io/injected': 'true', 'proxy-injection': 'disabled' };
  t.deepEqual(warningsOf(pod({ labels }, { initContainers })), [
    'proxy-injection: disabled does not take a proxy out: the pod has proxy-init and proxy-sidecar, which still ' +
      'redirect its connections; take them out',
  ]);
  t.is(mistakesOf(pod({}, { initContainers, hostNetwork: true }), { name: 'kube-system' }).length, 1);
});

function requiring(...terms: readonly NodeSelectorTerm[]): Partial<Pod['spec']> {
  const requiredDuringSchedulingIgnoredDuringExecution = { nodeSelectorTerms: terms };
  return { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution } } };
}

function osIn(...values: readonly string[]): NodeSelectorTerm {
  return { matchExpressions: [{ key: 'kubernetes.io/os', operator: 'In', values }] };
}

test('given any field by which a pod needs Windows, leaves it as it is', (t) => {
  const zone = { key: 'zone', operator: 'Exists' };
  const windowsOptions = { runAsUserName: 'ContainerUser' };
  const windows: readonly Partial<Pod['spec']>[] = [
    { os: { name: 'windows' } },
    { nodeSelector: { 'kubernetes.io/os': 'windows' } },
    { nodeSelector: { 'beta.kubernetes.io/os': 'windows' } },
    requiring({ matchExpressions: [{ key: 'kubernetes.io/os', operator: 'NotIn', values: ['linux'] }] }),
    requiring(osIn('windows')),
    requiring({}, osIn('windows'), { matchExpressions: [zone, ...(osIn('windows').matchExpressions ?? [])] }),
    { securityContext: { windowsOptions: { hostProcess: true } } },
    { containers: [{ name: 'app', securityContext: { windowsOptions } }] },
  ];
  for (const spec of windows) t.is(reason(pod({}, spec)), 'it runs on Windows', JSON.stringify(spec));
  const others: readonly Partial<Pod['spec']>[] = [
    { os: { name: 'linux' }, securityContext: { windowsOptions } },
    { nodeSelector: { 'kubernetes.io/os': 'linux' }, securityContext: { windowsOptions } },
    { securityContext: { windowsOptions: { hostProcess: false } } },
    requiring(),
    requiring({}),
    requiring(osIn()),
    requiring(osIn('windows', 'linux')),
    requiring(osIn('windows'), osIn('linux')),
    requiring(osIn('windows'), { matchExpressions: [zone] }),
    requiring({ matchExpressions: [{ key: 'kubernetes.io/os', operator: 'NotIn', values: ['windows'] }] }),
  ];
  for (const spec of others) t.is(reason(pod({}, spec)), 'eligible', JSON.stringify(spec));
});

test('annotation or label, on pod or namespace; the pod wins', (t) => {
  const disabled = { 'proxy-injection': 'disabled' };
  const enabled = { 'proxy-injection': 'enabled' };
  t.is(reason(pod({ annotations: disabled })), 'the pod says proxy-injection: disabled');
  t.is(reason(pod({ labels: disabled })), 'the pod says proxy-injection: disabled');
  for (const namespace of [
    { name: 'demo', labels: disabled },
    { name: 'demo', annotations: disabled },
  ]) {
    t.is(reason(pod(), namespace), 'its namespace, demo, says proxy-injection: disabled');
    t.is(reason(pod({ labels: enabled }), namespace), 'eligible');
    t.is(reason(pod({ annotations: enabled }), namespace), 'eligible');
  }
  t.is(
    reason(pod({ annotations: disabled }), { name: 'demo', labels: enabled }),
    'the pod says proxy-injection: disabled',
  );
  t.is(reason(pod({ annotations: enabled, labels: disabled })), 'the pod says proxy-injection: disabled');
});

test('a word that is neither is a mistake of a pod, and a warning about a namespace', (t) => {
  t.deepEqual(mistakesOf(pod({ annotations: { 'proxy-injection': 'false' } })), [
    'annotation proxy-injection is "false": use enabled or disabled',
  ]);
  const namespace = { name: 'demo', labels: { 'proxy-injection': 'off' } };
  t.is(reason(pod(), namespace), 'eligible');
  t.deepEqual(warningsOf(pod(), namespace), [
    'namespace demo: label proxy-injection is "off": use enabled or disabled; until then it counts as not set',
  ]);
});

test('where Pod Security would refuse what is added, a pod stays as it is, unless somebody insists', (t) => {
  const namespace = { name: 'demo', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } };
  t.regex(
    reason(pod(), namespace),
    /^namespace demo enforces the Pod Security Standard restricted, which forbids/,
  );
  t.is(warningsOf(pod(), namespace).length, 1);
  t.is(reason(pod({ labels: { 'proxy-injection': 'enabled' } }), namespace), 'eligible');
  t.is(reason(pod(), { ...namespace, annotations: { 'proxy-injection': 'enabled' } }), 'eligible');
  t.is(
    reason(pod(), { name: 'demo', labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } }),
    'eligible',
  );
});

test('a standard that the cluster enforces by default counts where a namespace names none', (t) => {
  const surroundings = { meshNamespace: 'cortexflow', podSecurityDefault: 'baseline' } as const;
  const kindIn = (namespace: Namespace, subject = pod()): string =>
    checkAndValidatePod(subject, namespace, surroundings).kind;
  const left = checkAndValidatePod(pod(), demo, surroundings);
  t.is(
    left.kind === 'ineligible' && left.reason,
    'namespace demo says nothing of Pod Security, and CORTEXFLOW_POD_SECURITY_DEFAULT of the injector is baseline, ' +
      "which forbids the proxy's init container NET_ADMIN: label the namespace " +
      'pod-security.kubernetes.io/enforce=privileged, or proxy-injection=enabled if its pods are exempt',
  );
  t.is(kindIn({ ...demo, labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } }), 'eligible');
  t.is(kindIn({ ...demo, labels: { 'proxy-injection': 'enabled' } }), 'eligible');
  t.is(kindIn(demo, pod({ labels: { 'proxy-injection': 'enabled' } })), 'eligible');
});

test('what is in the way, each with the fix', (t) => {
  t.deepEqual(
    mistakesOf(
      pod(
        {
          annotations: {
            'cortexflow.io/log-level': 'loud',
            'cortexflow.io/upstreams': '127.0.0.1:8080=a.b:1,127.0.0.1:5300/udp=dns.demo:53',
          },
        },
        {
          initContainers: [{ name: 'proxy-init' }],
          containers: [
            {
              name: 'app',
              ports: [{ containerPort: 5054 }, { containerPort: 8080 }, { containerPort: 5300 }],
            },
            {
              name: 'dns',
              ports: [
                { containerPort: 5300, protocol: 'UDP' },
                { containerPort: 8080, protocol: 'UDP' },
              ],
            },
          ],
          volumes: [{ name: 'cortexflow-state' }],
        },
      ),
    ),
    [
      'annotation cortexflow.io/log-level is "loud": use one of error, warn, info, debug',
      "a container is called proxy-init like the proxy's own, and is none, since it has no CORTEXFLOW_BOOTSTRAP: " +
        'rename it, or leave this pod out of the mesh by annotating it proxy-injection: disabled',
      "the volume cortexflow-state is the proxy's own: give yours another name, or leave this pod out of the " +
        'mesh by annotating it proxy-injection: disabled',
      'container app has containerPort 5054: the proxy listens on 5053 to 5058 in every pod; use another port, ' +
        'or leave this pod out of the mesh by annotating it proxy-injection: disabled',
      'container app has containerPort 8080, where annotation cortexflow.io/upstreams has the proxy listen: use ' +
        'another port in one of them',
      'container dns has containerPort 5300, where annotation cortexflow.io/upstreams has the proxy listen: use ' +
        'another port in one of them',
    ],
  );
});

test('a pod with mistakes that says disabled is left alone', (t) => {
  const annotations = { 'proxy-injection': 'disabled', 'cortexflow.io/log-level': 'loud' };
  t.is(reason(pod({ annotations })), 'the pod says proxy-injection: disabled');
});

test("the proxy's user, by container or for the whole pod", (t) => {
  const warning =
    "container app runs as user 2102, the proxy's own, whose connections do not go through the mesh: use another user";
  const securityContext = { runAsUser: 2102 };
  t.deepEqual(warningsOf(pod({}, { containers: [{ name: 'app', securityContext }] })), [warning]);
  t.deepEqual(warningsOf(pod({}, { securityContext })), [warning]);
  t.deepEqual(
    warningsOf(
      pod({}, { securityContext, containers: [{ name: 'app', securityContext: { runAsUser: 1 } }] }),
    ),
    [],
  );
});

test('a label that says what is not so', (t) => {
  const subject = pod({ labels: { 'cortexflow.io/injected': 'true' } }, { hostNetwork: true });
  t.regex(warningsOf(subject)[0] ?? '', /^label cortexflow\.io\/injected says that the pod is in the mesh/);
});
