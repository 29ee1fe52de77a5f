/** The programs of ../mounted, which are in no image: a ConfigMap brings them into a pod. */
import { readdirSync, readFileSync } from 'node:fs';

const directory = new URL('../mounted/', import.meta.url);
const NAME = 'mounted';
/** Below /app, so that they find its node_modules. */
const PATH = '/app/mounted';

export const SERVERS = ['node', `${PATH}/servers.ts`] as const;
export const GRPC_CLIENT = ['node', `${PATH}/grpc-client.ts`] as const;

/** For the container, and for the pod's spec. */
export const mounts = { volumeMounts: [{ name: NAME, mountPath: PATH }] };
export const volumes = { volumes: [{ name: NAME, configMap: { name: NAME } }] };

/** To be applied in the namespace whose pods have the mounts. */
export function mountedPrograms(): unknown {
  const data = Object.fromEntries(
    readdirSync(directory).map((file) => [file, readFileSync(new URL(file, directory), 'utf8')]),
  );
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: NAME }, data };
}
