import test from 'ava';
import { describeUnknown, KNOWN_VARIABLES, unknownVariables } from './variables.ts';

test('given a misspelt setting, names the one that was meant', (t) => {
  const unknown = unknownVariables({
    CORTEXFLOW_DRIECTORY: 'mesh',
    cortexflow_upstreams: 'a=b:80',
    CORTEXFLOW_XDS_PORT: '18000',
    CORTEXFLOW_FOO: '1',
  });
  t.deepEqual(unknown, [
    { name: 'CORTEXFLOW_DRIECTORY', nearest: 'CORTEXFLOW_DIRECTORY' },
    { name: 'cortexflow_upstreams', nearest: 'CORTEXFLOW_UPSTREAMS' },
    { name: 'CORTEXFLOW_XDS_PORT', nearest: undefined },
    { name: 'CORTEXFLOW_FOO', nearest: undefined },
  ]);
  t.deepEqual(unknown.slice(2).map(describeUnknown), [
    'CORTEXFLOW_XDS_PORT is not a setting of CortexFlow and has no effect: docs/configuration.md lists the settings',
    'CORTEXFLOW_FOO is not a setting of CortexFlow and has no effect: docs/configuration.md lists the settings',
  ]);
});

test('given the settings of all programs, or empty ones, finds nothing unknown', (t) => {
  const settings = Object.fromEntries(KNOWN_VARIABLES.map((name) => [name, 'x']));
  t.deepEqual(
    unknownVariables({ ...settings, CORTEXFLOW_OLD: ' ', CORTEXFLOW_POD_NAME: 'a', PATH: '/bin', FLOW: 'x' }),
    [],
  );
});

test('given what Kubernetes sets for Services called cortexflow…, finds nothing unknown', (t) => {
  const links = ['CORTEXFLOW', 'CORTEXFLOW_CONTROL_PLANE', 'CORTEXFLOW_2'].flatMap((service) => [
    [`${service}_SERVICE_HOST`, '10.96.0.7'],
    [`${service}_SERVICE_PORT`, '18000'],
    [`${service}_SERVICE_PORT_XDS`, '18000'],
    [`${service}_PORT`, 'tcp://10.96.0.7:18000'],
    [`${service}_PORT_18000_TCP`, 'tcp://10.96.0.7:18000'],
    [`${service}_PORT_18000_TCP_PROTO`, 'tcp'],
    [`${service}_PORT_18000_TCP_PORT`, '18000'],
    [`${service}_PORT_18000_TCP_ADDR`, '10.96.0.7'],
    [`${service}_PORT_53_UDP`, 'udp://10.96.0.7:53'],
  ]);
  t.deepEqual(unknownVariables(Object.fromEntries(links)), []);
});
