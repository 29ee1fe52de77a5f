import type { nft } from './nft.ts';
import type { Features } from './ruleset.ts';

/** Something that the rules need of the kernel. */
interface Need {
  readonly rule: string;
  readonly hook: 'prerouting' | 'output' | 'postrouting';
  readonly type: 'nat' | 'filter';
  /** What is missing where the kernel refuses the rule. */
  readonly missing: string;
}

const TABLES: Need = {
  rule: 'accept',
  hook: 'output',
  type: 'filter',
  missing: 'nf_tables with tables of family inet (CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET)',
};

const NEEDS: readonly Need[] = [
  TABLES,
  {
    rule: 'accept',
    hook: 'output',
    type: 'nat',
    missing: 'address translation in tables of family inet (CONFIG_NF_NAT, Linux 5.2 or newer)',
  },
  {
    rule: 'meta l4proto tcp redirect to :5054',
    hook: 'output',
    type: 'nat',
    missing: 'redirection (CONFIG_NFT_REDIR, module nft_redir)',
  },
  {
    rule: 'ct state invalid drop',
    hook: 'prerouting',
    type: 'filter',
    missing: 'the state of connections (CONFIG_NFT_CT, module nft_ct)',
  },
  {
    rule: 'fib daddr type local accept',
    hook: 'prerouting',
    type: 'nat',
    missing: 'address lookups (CONFIG_NFT_FIB_INET, module nft_fib_inet)',
  },
  {
    rule: 'snat ip to ip daddr',
    hook: 'postrouting',
    type: 'nat',
    missing: 'translation of source addresses (CONFIG_NFT_NAT, module nft_nat)',
  },
];

const SOCKET: Need = {
  rule: 'socket transparent <= 1 accept',
  hook: 'prerouting',
  type: 'nat',
  missing: 'socket lookups (CONFIG_NFT_SOCKET, module nft_socket)',
};

type Nft = typeof nft;

/** Whether the kernel knows what only makes things better. Nothing is changed. */
export function findFeatures(run: Nft): Features {
  return { findsListeners: check(run, SOCKET).ok };
}

/** What it costs that the kernel cannot look up sockets; for the log. */
export const WITHOUT_LISTENERS =
  `This kernel lacks ${SOCKET.missing}: every inbound connection is redirected, so that one to a port where ` +
  'nobody listens is accepted and reset instead of refused. Probes that only connect then succeed too early: ' +
  'use httpGet, grpc or exec probes, or load the module on the node.';

/** Why nft did not do what it was told, and what to do about it. */
export function explainFailure(run: Nft, failure: Extract<ReturnType<Nft>, { ok: false }>): string {
  if (failure.missing) {
    return 'There is no program nft here: use the sidecar image, or install nftables 1.0 or newer.';
  }
  if (/not permitted|permission denied/iu.test(failure.message)) {
    return (
      'nft may not change the rules of this network namespace: run proxy-init as root with the capability ' +
      `NET_ADMIN (securityContext: runAsUser 0, capabilities.add [NET_ADMIN]) (${failure.message})`
    );
  }
  const lacking = NEEDS.find((need) => !check(run, need).ok);
  return lacking === undefined
    ? `nft refused the rules: ${failure.message}`
    : `This node's kernel lacks ${lacking.missing}: load the module on the node, or use another kernel. ` +
        `Until then, exclude the pod with the annotation proxy-injection: disabled (${failure.message})`;
}

/** Asks nft for a check only: the kernel looks at the rule, loads what it needs for it, and changes nothing. */
function check(run: Nft, { rule, hook, type }: Need): ReturnType<Nft> {
  const table = [
    'table inet cortexflow_check {',
    '  chain check {',
    `    type ${type} hook ${hook} priority -100; policy accept;`,
    `    ${rule}`,
    '  }',
    '}',
    '',
  ].join('\n');
  return run(['--check', '--file', '-'], table);
}
