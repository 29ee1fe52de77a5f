import { readFileSync } from 'node:fs';

/** `NAME=value… node --flag… sidecar/main.ts`: what is measured is what `npm run sidecar` runs. */
const { scripts } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  scripts: { sidecar: string };
};
const words = scripts.sidecar.split(' ');

/** Node's flags for a sidecar. */
export const SIDECAR_FLAGS = words.filter((word) => word.startsWith('--'));

export const SIDECAR_ENVIRONMENT: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    words.filter((word) => /^\w+=\w+$/.test(word)).map((word) => word.split('=') as [string, string]),
  ),
  NODE_COMPILE_CACHE: 'node_modules/.cache/node',
};
