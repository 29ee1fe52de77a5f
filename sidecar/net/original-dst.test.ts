import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import test from 'ava';
import { testThatNeeds, whyNoIPv6 } from '../../test/cluster/requirement.ts';
import { OriginalDestinations } from './original-dst.ts';
import { listenTcp } from './tcp.ts';

for (const [family, address, missing] of [
  ['ipv4', '127.0.0.1', undefined],
  ['ipv6', '::1', whyNoIPv6()],
] as const) {
  testThatNeeds(missing, test)(`a connection that nobody redirected is direct, ${family}`, async (t) => {
    const destinations = new OriginalDestinations();
    const seen = Promise.withResolvers<unknown>();
    const listening = listenTcp(
      { address, port: 0 },
      {
        accepted: (stream) => {
          seen.resolve(destinations.of(stream, { family, port: stream.localAddress()!.port }));
          stream.close();
        },
        acceptFailed: (code) => seen.reject(code),
      },
    );
    if (!listening.ok) throw new Error(`nothing can listen on ${address}: ${listening.code}`);
    const { listener } = listening;
    const client = connect(listener.address.port, address);
    t.is(await seen.promise, 'direct');
    client.destroy();
    listener.close();
  });
}

test('without native calls it is said what to do', async (t) => {
  const script = `import(${JSON.stringify(new URL('original-dst.ts', import.meta.url).href)}).then(
    ({ OriginalDestinations }) => { try { new OriginalDestinations() } catch ({ name, message }) { console.log(name, message) } })`;
  const run = promisify(execFile);
  const off = await run(process.execPath, ['--no-experimental-ffi', '-e', script]);
  t.regex(off.stdout, /^StartupError Interception needs native calls \(node:ffi\).* --experimental-ffi/u);
  const denied = await run(process.execPath, ['--permission', '--allow-fs-read=*', '-e', script]);
  t.regex(denied.stdout, /^StartupError .* --allow-ffi/u);
  const on = await run(process.execPath, ['-e', script]);
  t.deepEqual(on, { stdout: '', stderr: '' });
});
