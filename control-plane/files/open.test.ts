import test from 'ava';
import { Registry } from 'prom-client';
import type { Rejection } from '../mesh/rejection.ts';
import { exposeFiles } from './open.ts';

test('what is broken in the files is counted while it is', async (t) => {
  const registry = new Registry();
  const broken: Rejection[] = [{ object: 'File a.yaml', origin: undefined, problems: ['is broken'] }];
  exposeFiles(registry, { rejections: () => broken });
  t.regex(await registry.metrics(), /^cortexflow_files_rejections 1$/m);
  broken.length = 0;
  t.regex(await registry.metrics(), /^cortexflow_files_rejections 0$/m);
});
