import type { TestFn } from 'ava';
import { whyNot } from './network.ts';

/** Whether tests that need network namespaces are left out here. Says why; whoever runs CI means all tests. */
export function skipped(test: TestFn): boolean {
  const why = whyNot();
  if (why === undefined) return false;
  const title = `interception cannot be tried here, so its tests are skipped: ${why}`;
  if (process.env['CI'] === 'true') test(title, (t) => t.fail());
  else test.skip(title, () => {});
  return true;
}
