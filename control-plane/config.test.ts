import test from 'ava';
import { readConfig } from './config.ts';

const read = (values: Record<string, string>) => readConfig((name) => values[name]);

test('only the folder has to be given; listeners are on loopback unless told otherwise', (t) => {
  const result = read({ CORTEXFLOW_DIRECTORY: 'examples/hello' });
  t.like(result, {
    config: {
      source: { from: 'files', directory: 'examples/hello' },
      xds: { host: '127.0.0.1', port: 18000 },
      inspection: { host: '127.0.0.1', port: 18001 },
      admin: { host: '127.0.0.1', port: 18080 },
      push: { windowMs: 20, maxWindowMs: 200 },
    },
  });
});

test('all mistakes are reported at once', (t) => {
  t.deepEqual(
    read({
      CORTEXFLOW_XDS_ADDRESS: '18000',
      CORTEXFLOW_LOG_LEVEL: 'verbose',
      CORTEXFLOW_PUSH_WINDOW_MS: '300',
    }),
    {
      problems: [
        'CORTEXFLOW_DIRECTORY is not set: name the folder of Kubernetes YAML to serve, or set CORTEXFLOW_SOURCE to kubernetes',
        'CORTEXFLOW_XDS_ADDRESS is "18000": use host:port, with an IPv6 host in brackets, e.g. 127.0.0.1:18000 or [::1]:18000',
        'CORTEXFLOW_LOG_LEVEL is "verbose": use one of error, warn, info, debug',
        'CORTEXFLOW_PUSH_MAX_WINDOW_MS is "200": use at least CORTEXFLOW_PUSH_WINDOW_MS, 300',
      ],
    },
  );
});

test('the objects come from a folder or from an API server, not from both', (t) => {
  t.like(read({ CORTEXFLOW_SOURCE: 'kubernetes' }), { config: { source: { from: 'kubernetes' } } });
  t.deepEqual(read({ CORTEXFLOW_SOURCE: 'kubernetes', CORTEXFLOW_DIRECTORY: 'here' }), {
    problems: [
      'CORTEXFLOW_DIRECTORY is "here" where CORTEXFLOW_SOURCE is kubernetes: leave out one of the two',
    ],
  });
  t.deepEqual(read({ CORTEXFLOW_SOURCE: 'k8s', CORTEXFLOW_DIRECTORY: 'here' }), {
    problems: ['CORTEXFLOW_SOURCE is "k8s": use one of files, kubernetes'],
  });
});
