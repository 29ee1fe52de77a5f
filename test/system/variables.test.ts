import { readFileSync } from 'node:fs';
import test from 'ava';
import { readConfig as readControlPlane } from '../../control-plane/config.ts';
import { readConfig as readInjector } from '../../injector/config.ts';
import { KNOWN_VARIABLES } from '../../process/variables.ts';
import { readConfig as readSidecar } from '../../sidecar/config.ts';
import { start, startControlPlane, startSidecar } from './programs.ts';

/** The variables that a program asks for, with settings that make it ask for as many as possible. */
function askedFor(read: (lookup: (name: string) => string | undefined) => unknown): string[] {
  const names = new Set<string>();
  for (const source of ['files', 'kubernetes']) {
    read((name) => {
      names.add(name);
      return name === 'CORTEXFLOW_SOURCE' ? source : undefined;
    });
  }
  return [...names];
}

test('every variable that a program reads is known to all, and documented', (t) => {
  const read = new Set([readControlPlane, readInjector, readSidecar].flatMap((each) => askedFor(each)));
  t.deepEqual([...read].toSorted(), KNOWN_VARIABLES.toSorted());
  const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  // A row may write the second of two names as its end alone.
  const isDocumented = (name: string): boolean =>
    page.includes(`\`${name}\``) || page.includes(`\`${name.slice(name.lastIndexOf('_'))}\``);
  t.deepEqual(
    KNOWN_VARIABLES.filter((name) => !isDocumented(name)),
    [],
  );
});

const MISSPELT = { CORTEXFLOW_LOG_LEVLE: 'debug', CORTEXFLOW_CONTROL_PLANE_SERVICE_HOST: '10.96.0.7' };
const WARNING = {
  level: 'warn',
  message: 'Ignored a variable that is not a setting of CortexFlow',
  variable: 'CORTEXFLOW_LOG_LEVLE',
  nearest: 'CORTEXFLOW_LOG_LEVEL',
};

test('given a misspelt setting, a program starts and warns', async (t) => {
  const controlPlane = startControlPlane(t, { CORTEXFLOW_DIRECTORY: 'examples/hello', ...MISSPELT });
  const sidecar = startSidecar(t, { CORTEXFLOW_CONTROL_PLANE: '127.0.0.1:1', ...MISSPELT });
  for (const program of [controlPlane, sidecar]) {
    await program.serving();
    const warnings = program.log.filter(({ message }) => message === WARNING.message);
    t.is(warnings.length, 1);
    t.like(warnings[0], WARNING);
  }
});

test('given a setting that is missing because it is misspelt, a program names both', async (t) => {
  const environment = { CORTEXFLOW_DRIECTORY: 'examples/hello' };
  const controlPlane = startControlPlane(t, environment);
  t.is(await controlPlane.exited(), 1);
  t.regex(controlPlane.text, /CORTEXFLOW_DIRECTORY is not set/);
  t.regex(controlPlane.text, /CORTEXFLOW_DRIECTORY is not a setting .* use CORTEXFLOW_DIRECTORY/);
  for (const [file, settings] of [
    ['injector/main.ts', { CORTEXFLOW_NAMESPCE: 'cortexflow' }],
    ['sidecar/proxy-init/main.ts', { CORTEXFLOW_NAMESPCE: 'cortexflow', CORTEXFLOW_LOG_LEVEL: 'loud' }],
  ] as const) {
    const program = start(t, { file, environment: settings });
    t.is(await program.exited(), 1);
    t.regex(program.text, /CORTEXFLOW_NAMESPCE is not a setting .* use CORTEXFLOW_NAMESPACE/, file);
  }
});
