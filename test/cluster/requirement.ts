import type { ExecutionContext } from 'ava';

type Declare = (title: string, implementation: (t: ExecutionContext) => void | Promise<void>) => void;

/**
 * ava's `test`, or `test.serial`, where nothing is missing. Where something is, each test is skipped under a title that says what
 * is missing and what to do; where `CI` is `true` it fails with that, for whoever runs CI means all tests.
 *
 * @param missing a sentence, undefined when nothing is missing
 */
export function testThatNeeds(missing: string | undefined, test: Declare & { skip: Declare }): Declare {
  if (missing === undefined) return (title, implementation) => test(title, implementation);
  if (process.env['CI'] === 'true') return (title) => test(title, (t) => t.fail(missing));
  return (title, implementation) => test.skip(`${title} (skipped: ${missing})`, implementation);
}
