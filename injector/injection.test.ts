import test from 'ava';
import { createInjection } from './injection.ts';
import { readOptions } from './options.ts';

/** How many patches are made for pods with these annotations, one after another. */
function made(annotated: readonly Readonly<Record<string, string>>[]): number {
  let count = 0;
  const injection = createInjection({
    get image() {
      count += 1;
      return 'cortexflow/sidecar:0.1.0';
    },
    controlPlane: [],
    adminHost: '::',
    resources: {},
  });
  for (const annotations of annotated) {
    const { options } = readOptions(annotations);
    injection({ metadata: { annotations }, spec: { containers: [{ name: 'app' }] } }, options);
  }
  return count;
}

test('pods that ask for the same get one patch, whatever else they are annotated with', (t) => {
  const level = { 'cortexflow.io/log-level': 'debug' };
  t.is(
    made([level, level, { ...level, 'example.com/a': 'b' }, { ...level, 'cortexflow.io/colour': 'x' }]),
    1,
  );
  t.is(made([level, { 'cortexflow.io/log-level': 'error' }]), 2);
});

test('what is long is not kept', (t) => {
  const ports = { 'cortexflow.io/exclude-outbound-ports': '8000,'.repeat(250) };
  t.is(made([ports, ports]), 2);
});
