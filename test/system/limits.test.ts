import { spawnSync } from 'node:child_process';
import test from 'ava';

test('a limit of open files that is too low for the connections allowed: one line says so, and one for messages', (t) => {
  const environment = {
    PATH: process.env['PATH'],
    CORTEXFLOW_LOG_FORMAT: 'json',
    // A port that cannot be listened on: the sidecar ends by itself.
    CORTEXFLOW_UPSTREAMS: '192.0.2.1:80=hello.demo:80',
    CORTEXFLOW_ADMIN_ADDRESS: '127.0.0.1:0',
  };
  const { stderr } = spawnSync('sh', ['-c', `ulimit -n 264 && exec ${process.execPath} sidecar/main.ts`], {
    env: environment,
    encoding: 'utf8',
  });
  const saying = (text: string): string[] => stderr.split('\n').filter((line) => line.includes(text));
  const lines = saying('Fewer connections fit');
  t.is(lines.length, 1, stderr);
  t.like(JSON.parse(lines[0] ?? ''), { maxConnections: 83, allowed: 10_000, openFiles: 264 });
  const ofMessages = saying('Fewer connections for messages fit');
  t.is(ofMessages.length, 1, stderr);
  t.like(JSON.parse(ofMessages[0] ?? ''), { maxConnections: 16, allowed: 1_000, openFiles: 264 });
});
