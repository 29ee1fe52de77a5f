import test from 'ava';
import { ApiError } from './api-server.ts';
import { explain, resourceOf } from './explain.ts';

const SLICES = '/apis/discovery.k8s.io/v1/endpointslices';

function refusal(status: number, message: string): ApiError {
  return new ApiError({ status, reason: '', message });
}

function network(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

test('a resource is named as in kubectl', (t) => {
  t.is(resourceOf('/api/v1/services'), 'services');
  t.is(resourceOf(SLICES), 'endpointslices.discovery.k8s.io');
  t.is(resourceOf('/api/v1/namespaces/cortexflow/secrets'), 'secrets in namespace cortexflow');
  t.is(resourceOf('/api/v1/namespaces'), 'namespaces');
});

test('a missing permission is named with its verb and kind', (t) => {
  t.is(
    explain(refusal(403, 'endpointslices is forbidden'), 'watch', SLICES),
    'may not watch endpointslices.discovery.k8s.io: allow watch on it in a role that is bound to this user; the API server says: endpointslices is forbidden',
  );
});

test('every failure has its sentence', (t) => {
  const sentences: [Error, RegExp][] = [
    [refusal(401, 'Unauthorized'), /^is not known to the API server \(Unauthorized\): its token/],
    [refusal(404, '404 page not found'), /^cannot list services: the API server has no such kind/],
    [refusal(500, 'etcdserver: no leader'), /^cannot list services: .* answers 500, etcdserver: no leader$/],
    [network('ECONNREFUSED', 'connect ECONNREFUSED'), /^cannot list services: connect ECONNREFUSED$/],
    [network('ECONNREFUSED', ''), /^cannot list services: ECONNREFUSED$/],
    [network('SELF_SIGNED_CERT_IN_CHAIN', 'self-signed'), /^does not trust the API server's certificate/],
    [network('ERR_TLS_CERT_ALTNAME_INVALID', 'altnames'), /^does not trust the API server's certificate/],
  ];
  for (const [error, sentence] of sentences) t.regex(explain(error, 'list', '/api/v1/services'), sentence);
});
