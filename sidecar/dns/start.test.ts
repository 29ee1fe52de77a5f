import test from 'ava';
import { Registry } from 'prom-client';
import { createLogger } from '../../process/log.ts';
import { directoryOf } from '../../test/dns/directory.ts';
import { openDns, serversOf } from './start.ts';

test('the servers are those of the machine but for the proxy itself, or those of the settings', (t) => {
  const nameServers = ['127.0.0.1', '192.0.2.1', '::1'];
  const askedBy = (host: string, port: number) =>
    serversOf({ listen: [{ host, port }] }, { nameServers }).map(({ address }) => address);
  t.deepEqual(askedBy('127.0.0.1', 5053), nameServers);
  t.deepEqual(askedBy('0.0.0.0', 5053), nameServers);
  t.deepEqual(askedBy('127.0.0.1', 53), ['192.0.2.1', '::1']);
  t.deepEqual(askedBy('0.0.0.0', 53), ['192.0.2.1', '::1']);
  t.deepEqual(askedBy('::1', 53), ['127.0.0.1', '192.0.2.1']);
  const settings = {
    listen: [{ host: '0.0.0.0', port: 53 }],
    upstreams: [{ host: '192.0.2.2', port: 5353 }],
  };
  t.deepEqual(serversOf(settings, { nameServers }), [{ address: '192.0.2.2', port: 5353 }]);
});

test('where no server is left, the log says what to do', async (t) => {
  const lines: string[] = [];
  const log = createLogger({
    format: 'text',
    level: () => 'warn',
    write: (line) => lines.push(line),
    now: () => new Date(0),
  });
  const directory = directoryOf([]);
  const settings = { listen: [], upstreams: [], cacheBytes: 0 };
  const dns = await openDns(settings, { directory, registry: new Registry(), log });
  t.true(
    lines.some((line) => /Only names of the mesh are answered: .* Name some in dns\.upstreams/u.test(line)),
  );
  dns?.close();
  directory.close();
});
