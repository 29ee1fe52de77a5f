import { readFileSync } from 'node:fs';

/** How `npm run sidecar` runs the sidecar: `NAME=value… node --flag… sidecar/main.ts`. */
const { scripts } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  scripts: { sidecar: string };
};

/** Node's flags for a sidecar, so that what is measured is what people run. */
export const SIDECAR_FLAGS = scripts.sidecar.split(' ').filter((word) => word.startsWith('--'));

export const SIDECAR_ENVIRONMENT = { NODE_COMPILE_CACHE: 'node_modules/.cache/node' };
