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

test("the cluster's domain is what the kubelet begins a search list with, and nothing else", (t) => {
  t.is(domainOf('demo.svc.cluster.local svc.cluster.local cluster.local corp.example'), 'cluster.local');
  t.is(domainOf('demo.svc.local svc.local local'), 'local');
  t.is(domainOf('Demo.SVC.Example.org. svc.example.ORG. Example.org.'), 'example.org');
  for (const search of [
    'svc.corp.example',
    'svc.corp.example corp.example',
    'corp.example svc.corp.example',
    'demo.svc.corp.example svc.corp.example',
    'demo.svc.corp.example svc.corp.example example',
    'home demo.svc.cluster.local svc.cluster.local cluster.local',
    'a.b.svc.cluster.local svc.cluster.local cluster.local',
    '.svc.cluster.local svc.cluster.local cluster.local',
    'svc.cluster.local svc.cluster.local cluster.local',
    'demo.svc svc',
    'demo.svc. svc. .',
    '',
  ]) {
    t.is(domainOf(search), undefined, search);
  }
});

function domainOf(search: string): string | undefined {
  return parseResolvConf(`search ${search}\n`).clusterDomain;
}
