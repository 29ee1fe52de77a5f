import { networkInterfaces } from 'node:os';
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

/**
 * The same for a file whose tests all need it, hooks included: whether they are left out. One title then says so
 * for all of them.
 *
 * @param what the tests are about
 */
export function leavesOut(
  what: string,
  missing: string | undefined,
  test: Declare & { skip: Declare },
): boolean {
  if (missing === undefined) return false;
  testThatNeeds(missing, test)(`all tests of ${what}`, () => {});
  return true;
}

/** Why nothing can listen on `::1` here, for tests of IPv6. */
export function whyNoIPv6(): string | undefined {
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  if (addresses.some(({ address }) => address === '::1')) return undefined;
  return 'there is no IPv6 on loopback: sysctl -w net.ipv6.conf.lo.disable_ipv6=0';
}
