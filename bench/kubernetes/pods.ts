/**
 * Pods of an ordinary size, some 6 KB: two containers with environment, volumes, probes, a status, and what
 * server-side apply notes about fields. The mesh reads three words of each.
 */
export function podObjects(count: number): readonly object[] {
  return Array.from({ length: count }, (_, index) => podObject(index));
}

function podObject(index: number): object {
  const app = `service-${index % 1000}`;
  const name = `${app}-7d4b9c6f5d-${String(index).padStart(5, '0')}`;
  const containers = ['app', 'exporter'].map((container) => containerSpec(container));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      namespace: 'bench',
      name,
      labels: { app, 'pod-template-hash': '7d4b9c6f5d', 'cortexflow.io/injected': 'true' },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `${app}-7d4b9c6f5d`, uid: app }],
      managedFields: ['kube-controller-manager', 'kubelet'].map((manager) => ({
        manager,
        operation: 'Update',
        apiVersion: 'v1',
        fieldsType: 'FieldsV1',
        fieldsV1: fieldsOf({ metadata: { labels: {} }, spec: { containers } }),
      })),
    },
    spec: {
      serviceAccountName: app,
      nodeName: `node-${index % 100}`,
      containers,
      volumes: [{ name: 'token', projected: { sources: [{ configMap: { name: 'kube-root-ca.crt' } }] } }],
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
    },
    status: {
      phase: 'Running',
      podIP: `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`,
      conditions: ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => ({
        type,
        status: 'True',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      })),
      containerStatuses: containers.map((container) => ({
        name: container.name,
        image: container.image,
        imageID: `${container.image}@sha256:${'0123456789abcdef'.repeat(4)}`,
        containerID: `containerd://${'0123456789abcdef'.repeat(4)}`,
        ready: true,
        restartCount: 0,
        state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
      })),
    },
  };
}

function containerSpec(name: string) {
  return {
    name,
    image: `registry.example.com/bench/${name}:1.2.3`,
    imagePullPolicy: 'IfNotPresent',
    env: Array.from({ length: 8 }, (_, each) => ({ name: `SETTING_${each}`, value: `value-${each}` })),
    ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
    readinessProbe: { httpGet: { path: '/ready', port: 'http', scheme: 'HTTP' }, periodSeconds: 10 },
    volumeMounts: [{ name: 'token', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' }],
  };
}

/** `{a: {b: 1}}` as server-side apply notes its fields. */
function fieldsOf(value: unknown): unknown {
  if (Array.isArray(value)) {
    return Object.fromEntries(value.map((item, index) => [`k:{"index":${index}}`, fieldsOf(item)]));
  }
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [`f:${key}`, fieldsOf(item)]));
}
