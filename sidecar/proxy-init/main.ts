/**
 * The init container: has the kernel hand the pod's TCP connections to the sidecar, makes sure that it does, and
 * ends. Run again, it comes to the same.
 */
import '../../process/node-version.mjs';
import { StartupError } from '../../process/listen.ts';
import type { Logger } from '../../process/log.ts';
import { runProgram } from '../../process/program.ts';
import { type Interception, readConfig } from '../config.ts';
import { explainFailure, findFeatures, WITHOUT_LISTENERS } from './kernel.ts';
import { nft } from './nft.ts';
import { type Features, renderRuleset, type Ruleset, rulesetFor, TABLE } from './ruleset.ts';
import { selfTest } from './self-test.ts';
import { differences } from './verify.ts';

async function intercept(
  interception: Interception,
  dnsPort: number | undefined,
  log: Logger,
): Promise<void> {
  const ruleset = install(interception, dnsPort, log);
  verify(ruleset);
  const tests = await Promise.all([
    tryFamily(interception, 'ipv4', log),
    tryFamily(interception, 'ipv6', log),
  ]);
  log.info('Connections of this pod are intercepted', {
    outbound: interception.outbound.port,
    inbound: interception.inbound.port,
    dns: dnsPort,
    tried: tests.filter((tested) => tested !== undefined),
  });
}

function install(interception: Interception, dnsPort: number | undefined, log: Logger): Ruleset {
  const ruleset = rulesetFor(interception, { findsListeners: true }, dnsPort);
  const applied = apply(ruleset);
  if (applied.ok) return ruleset;
  const features: Features = findFeatures(nft);
  if (!applied.missing && !features.findsListeners) {
    const fallback = rulesetFor(interception, features, dnsPort);
    if (apply(fallback).ok) {
      log.warn(WITHOUT_LISTENERS);
      return fallback;
    }
  }
  throw new StartupError(`Cannot intercept connections: ${explainFailure(nft, applied)}`);
}

function apply(ruleset: Ruleset): ReturnType<typeof nft> {
  return nft(['--file', '-'], renderRuleset(ruleset));
}

/** What the kernel says that it does, against what it was told. */
function verify(ruleset: Ruleset): void {
  const listed = nft(['--json', 'list', 'table', 'inet', TABLE]);
  if (!listed.ok) {
    throw new StartupError(`The rules were accepted and cannot be read back: ${explainFailure(nft, listed)}`);
  }
  const found = differences(ruleset, listed.output);
  if (found.length > 0) {
    throw new StartupError(
      `The rules in the kernel are not those that were asked for; another program may have changed them: ${found.join(' ')}`,
    );
  }
}

/** Names the family where a connection arrived; throws where one got lost. */
async function tryFamily(
  interception: Interception,
  family: 'ipv4' | 'ipv6',
  log: Logger,
): Promise<string | undefined> {
  const tested = await selfTest(interception, family);
  if (tested.outcome === 'lost') {
    throw new StartupError(
      `The rules are in place, and a connection was not redirected (${family}: ${tested.why}): see whether ` +
        'another program in this pod makes rules that come first (nft list ruleset, iptables-save).',
    );
  }
  if (tested.outcome === 'skipped') log.debug('Redirection was not tried', { family, why: tested.why });
  return tested.outcome === 'arrived' ? family : undefined;
}

await runProgram({
  name: 'proxy-init',
  read: readConfig,
  start: async ({ interception, dns }, _level, logger) => {
    if (interception === undefined) {
      throw new StartupError(
        'The bootstrap has no interception: nothing to do for proxy-init. Leave it out of the pod.',
      );
    }
    // One port for both families, as a redirection goes to loopback of either.
    await intercept(interception, dns?.listen[0]?.port, logger);
  },
});
