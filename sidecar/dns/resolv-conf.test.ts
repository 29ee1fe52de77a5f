import test from 'ava';
import { parseResolvConf } from './resolv-conf.ts';

test("a pod's", (t) => {
  const text =
    'search demo.svc.example.org svc.example.org example.org\nnameserver 10.96.0.10\noptions ndots:5\n';
  t.deepEqual(parseResolvConf(text), { nameServers: ['10.96.0.10'], clusterDomain: 'example.org' });
});

test("a host's, and what is none", (t) => {
  const text =
    '# nameserver 1.1.1.1\n nameserver\t192.0.2.1  \nnameserver fe80::1%eth0\nnameserver here\nsearch home\n';
  t.deepEqual(parseResolvConf(text), {
    nameServers: ['192.0.2.1', 'fe80::1%eth0'],
    clusterDomain: undefined,
  });
  t.deepEqual(parseResolvConf(''), { nameServers: [], clusterDomain: undefined });
});
