import test from 'ava';
import { type InjectorConfig, readConfig } from './config.ts';

function read(values: Readonly<Record<string, string>>) {
  return readConfig((name) => values[name]);
}

function configOf(values: Readonly<Record<string, string>> = {}): InjectorConfig {
  const result = read({ CORTEXFLOW_NAMESPACE: 'cortexflow', ...values });
  if ('problems' in result) throw new Error(result.problems.join('\n'));
  return result.config;
}

test('what is left out has its default', (t) => {
  const { webhook, admin, proxy, certificates, drainMs } = configOf();
  t.deepEqual(webhook, { host: '0.0.0.0', port: 9443 });
  t.deepEqual(admin, { host: '0.0.0.0', port: 18_080 });
  t.is(proxy.image, 'cortexflow/sidecar:0.1.0');
  t.deepEqual(proxy.controlPlane, { host: 'control-plane.cortexflow.svc', port: 18_000 });
  t.is(proxy.resources.memoryLimit?.text, '256Mi');
  t.is(proxy.resources.cpuLimit, undefined);
  t.deepEqual(certificates, {
    kind: 'own',
    namespace: 'cortexflow',
    secret: 'injector-certificate',
    configuration: 'cortexflow-injector',
    hosts: [
      'injector.cortexflow.svc',
      'injector',
      'injector.cortexflow',
      'injector.cortexflow.svc.cluster.local',
    ],
  });
  t.is(drainMs, 5_000);
});

test('resources of the sidecar, and none of one kind', (t) => {
  const { resources } = configOf({
    CORTEXFLOW_SIDECAR_CPU_REQUEST: '0.1',
    CORTEXFLOW_SIDECAR_CPU_LIMIT: '1',
    CORTEXFLOW_SIDECAR_MEMORY_REQUEST: '100M',
    CORTEXFLOW_SIDECAR_MEMORY_LIMIT: 'none',
  }).proxy;
  t.is(resources.cpuLimit?.text, '1');
  t.is(resources.memoryRequest?.text, '100M');
  t.is(resources.memoryLimit, undefined);
});

test('the Pod Security Standard that the cluster enforces by default', (t) => {
  t.deepEqual(configOf().surroundings, { meshNamespace: 'cortexflow', podSecurityDefault: 'privileged' });
  const { surroundings } = configOf({ CORTEXFLOW_POD_SECURITY_DEFAULT: 'restricted' });
  t.is(surroundings.podSecurityDefault, 'restricted');
  t.deepEqual(read({ CORTEXFLOW_NAMESPACE: 'cortexflow', CORTEXFLOW_POD_SECURITY_DEFAULT: 'strict' }), {
    problems: ['CORTEXFLOW_POD_SECURITY_DEFAULT is "strict": use one of privileged, baseline, restricted'],
  });
});

test('a certificate from files needs no Secret and no namespace', (t) => {
  const result = read({ CORTEXFLOW_CERTIFICATE_DIRECTORY: '/etc/certificate' });
  t.deepEqual('config' in result && result.config.certificates, {
    kind: 'directory',
    directory: '/etc/certificate',
  });
});

test('a host that is no Service stands for itself', (t) => {
  const { certificates } = configOf({ CORTEXFLOW_WEBHOOK_SERVICE: '127.0.0.1' });
  t.deepEqual(certificates.kind === 'own' && certificates.hosts, ['127.0.0.1']);
});

test('all mistakes come to light at once', (t) => {
  const result = read({
    CORTEXFLOW_WEBHOOK_ADDRESS: '9443',
    CORTEXFLOW_SIDECAR_IMAGE: 'Sidecar',
    CORTEXFLOW_CONTROL_PLANE: 'control-plane.cortexflow.svc:0',
    CORTEXFLOW_SIDECAR_ADMIN_HOST: '127.0.0.1',
    CORTEXFLOW_SIDECAR_CPU_REQUEST: 'lots',
    CORTEXFLOW_SIDECAR_MEMORY_REQUEST: '1Gi',
    CORTEXFLOW_CERTIFICATE_SECRET: 'Secret',
    CORTEXFLOW_NAMESPACE: '',
  });
  t.deepEqual('problems' in result && result.problems, [
    'CORTEXFLOW_WEBHOOK_ADDRESS is "9443": use host:port, with an IPv6 host in brackets, e.g. 127.0.0.1:18000 or [::1]:18000',
    'CORTEXFLOW_SIDECAR_IMAGE is "Sidecar": it has capital letters in "Sidecar": write sidecar',
    'CORTEXFLOW_CONTROL_PLANE has port 0: give the port that the control plane listens on',
    'CORTEXFLOW_SIDECAR_ADMIN_HOST is "127.0.0.1": use one of 0.0.0.0, ::',
    'CORTEXFLOW_SIDECAR_CPU_REQUEST is "lots": it is no amount of CPU: write thousandths of a core such as 100m, or cores such as 0.5',
    'CORTEXFLOW_SIDECAR_MEMORY_REQUEST is "1Gi": use at most CORTEXFLOW_SIDECAR_MEMORY_LIMIT, 256Mi',
    'CORTEXFLOW_CERTIFICATE_SECRET is "Secret": use lower-case letters, digits, dots and dashes',
    'CORTEXFLOW_NAMESPACE is "": name the namespace that the Secret is kept in, in a pod by fieldRef: metadata.namespace',
  ]);
});
