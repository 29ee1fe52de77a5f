import * as fc from 'fast-check';

/** Pods as people write them, all of which the API server takes, none of which is left out of the mesh. */
export const arbitraryPod = fc
  .record(
    {
      metadata: fc.record(
        {
          name: fc.stringMatching(/^[a-z]([a-z0-9-]{0,20}[a-z0-9])?$/),
          labels: dictionary(),
          annotations: fc.oneof(dictionary(), annotations()),
        },
        { requiredKeys: ['name'] },
      ),
      spec: fc.record(
        {
          containers: containerList('app', 1),
          initContainers: containerList('init', 0),
          volumes: fc
            .integer({ min: 0, max: 3 })
            .map((count) =>
              Array.from({ length: count }, (_, index) => ({ name: `data-${index}`, emptyDir: {} })),
            ),
          securityContext: podSecurity(),
          shareProcessNamespace: fc.boolean(),
          restartPolicy: fc.constantFrom('Always', 'OnFailure', 'Never'),
          dnsPolicy: fc.constantFrom('ClusterFirst', 'Default'),
          nodeSelector: fc.constant({ 'kubernetes.io/os': 'linux' }),
          hostPID: fc.constant(false),
        },
        { requiredKeys: ['containers'] },
      ),
    },
    { requiredKeys: ['metadata', 'spec'] },
  )
  // As it comes over the wire: fast-check's objects have no prototype.
  .map((pod): typeof pod => JSON.parse(JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...pod })));

function dictionary() {
  return fc.dictionary(
    fc.stringMatching(/^(example\.com\/)?[a-z]([a-z0-9-]{0,10}[a-z0-9])?$/),
    fc.stringMatching(/^[a-z0-9]{0,10}$/),
    { maxKeys: 3 },
  );
}

/** Annotations of ours, without mistakes. */
function annotations() {
  return fc.record(
    {
      'cortexflow.io/exclude-inbound-ports': fc.constantFrom('9090', '22, 8000-8010', ''),
      'cortexflow.io/exclude-outbound-ports': fc.constantFrom('5432', '1-65535'),
      'cortexflow.io/exclude-inbound-cidrs': fc.constantFrom('10.0.0.0/8', 'fd00::/8,192.168.0.0/16'),
      'cortexflow.io/exclude-outbound-cidrs': fc.constantFrom('0.0.0.0/0', '::/0', '10.1.2.3/32'),
      'cortexflow.io/upstreams': fc.constantFrom(
        '127.0.0.1:15432=db.data:5432',
        '[::1]:16379=redis.data.svc:6379',
        '127.0.0.1:5300/udp=dns.demo:53',
      ),
      'cortexflow.io/log-level': fc.constantFrom('error', 'warn', 'info', 'debug'),
      'cortexflow.io/proxy-image': fc.constantFrom(
        'sidecar',
        'r.example:5000/a/b:1@sha256:' + 'ab'.repeat(32),
      ),
      'cortexflow.io/proxy-cpu-request': fc.constantFrom('10m', '0.1', '0'),
      'cortexflow.io/proxy-cpu-limit': fc.constantFrom('200m', '2'),
      'cortexflow.io/proxy-memory-request': fc.constantFrom('40Mi', '64M'),
      'cortexflow.io/proxy-memory-limit': fc.constantFrom('128Mi', '1G'),
      'cortexflow.io/require-control-plane': fc.constantFrom('true', 'false'),
      'proxy-injection': fc.constant('enabled'),
    },
    { requiredKeys: [] },
  );
}

function containerList(prefix: string, minLength: number) {
  return fc.array(container(prefix === 'init'), { minLength, maxLength: 4 }).map((containers) =>
    containers.map(({ ports, ...each }, index) => ({
      name: `${prefix}-${index}`,
      ...each,
      // Ports of the node belong to one container of a pod.
      ...(ports && {
        ports: ports.map(({ isOnHost, ...port }, place) =>
          isOnHost ? { ...port, hostPort: 20_000 + 10 * index + place } : port,
        ),
      }),
    })),
  );
}

function container(isInit: boolean) {
  return fc.record(
    {
      image: fc.constant('app:1'),
      ports: fc.uniqueArray(
        fc.record(
          {
            containerPort: fc.integer({ min: 1, max: 5052 }),
            protocol: fc.constantFrom('TCP', 'UDP'),
            isOnHost: fc.boolean(),
          },
          { requiredKeys: ['containerPort', 'protocol', 'isOnHost'] },
        ),
        { maxLength: 3, selector: ({ containerPort }) => containerPort },
      ),
      securityContext: fc.record({ runAsUser: fc.integer({ min: 0, max: 2101 }) }, { requiredKeys: [] }),
      ...(isInit ? { restartPolicy: fc.constant('Always') } : {}),
    },
    { requiredKeys: ['image'] },
  );
}

function podSecurity() {
  return fc.record(
    {
      runAsUser: fc.constantFrom(1000, 2000),
      runAsNonRoot: fc.constant(true),
      fsGroup: fc.constantFrom(0, 3000),
      seccompProfile: fc.constant({ type: 'Unconfined' }),
      supplementalGroups: fc.constant([4000]),
    },
    { requiredKeys: [] },
  );
}
