import type { TestFn } from 'ava';
import { leavesOut } from '../cluster/requirement.ts';
import { whyNot } from './network.ts';

/** Whether tests that need network namespaces are left out here. Says why; whoever runs CI means all tests. */
export function skipped(test: TestFn): boolean {
  return leavesOut('interception', whyNot(), test);
}
