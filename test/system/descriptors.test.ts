import { connect, type Socket } from 'node:net';
import test from 'ava';
import { until } from '../until.ts';
import { Folder } from './folder.ts';
import { start } from './programs.ts';

/** Of which 384 are not for connections to the xDS port. */
const DESCRIPTORS = 600;

test('given more connections to the xDS port than descriptors, the admin page answers and says so', async (t) => {
  const folder = new Folder(t);
  folder.write('a.yaml', '');
  const program = start(t, {
    file: 'control-plane/main.ts',
    through: ['sh', '-c', `ulimit -n ${DESCRIPTORS} && exec "$@"`, 'sh'],
    environment: {
      CORTEXFLOW_DIRECTORY: folder.path,
      CORTEXFLOW_XDS_ADDRESS: '127.0.0.1:0',
      CORTEXFLOW_INSPECTION_ADDRESS: '127.0.0.1:0',
      CORTEXFLOW_ADMIN_ADDRESS: '127.0.0.1:0',
    },
  });
  const serving = await program.serving();
  const [xds, admin] = [String(serving['xds']), String(serving['admin'])];
  const lowered = await program.line(({ message }) => message.startsWith('Lowered the limit of connections'));
  t.like(lowered, { connections: DESCRIPTORS - 384, openFiles: DESCRIPTORS });
  const sockets: Socket[] = [];
  t.teardown(() => sockets.forEach((socket) => socket.destroy()));
  for (let at = 0; at < DESCRIPTORS; at += 1) {
    const socket = connect({ host: '127.0.0.1', port: Number(xds.split(':')[1]) });
    socket.on('error', () => {});
    sockets.push(socket.resume());
  }
  const metrics = await until(
    'connections beyond the limit were closed',
    async () => (await fetch(`http://${admin}/metrics`)).text(),
    (text) => Number(/refused_total\{listener="xds",reason="idle"\} (\d+)/u.exec(text)?.[1]) >= 384,
  );
  t.regex(metrics, new RegExp(`cortexflow_grpc_connections\\{listener="xds"\\} ${DESCRIPTORS - 384}\n`, 'u'));
  t.is((await fetch(`http://${admin}/readyz`)).status, 200);
  t.is((await fetch(`http://${admin}/healthz`)).status, 200);
});
