import test from 'ava';
import { explainFailure, findFeatures } from './kernel.ts';
import type { NftResult } from './nft.ts';

/** An nft whose kernel refuses rules that hold this word. */
function lacking(word: string) {
  const asked: string[][] = [];
  const run = (args: readonly string[], input = ''): NftResult => {
    asked.push([...args]);
    return input.includes(word)
      ? { ok: false, missing: false, message: 'Error: Could not process rule: No such file or directory' }
      : { ok: true, output: '' };
  };
  return { run, asked };
}

const failure = { ok: false, missing: false, message: 'Error: Could not process rule' } as const;

test('a kernel is only asked, and nothing is changed', (t) => {
  const { run, asked } = lacking('nothing of the kind');
  t.deepEqual(findFeatures(run), { findsListeners: true });
  explainFailure(run, failure);
  t.true(asked.length > 1 && asked.every(([first]) => first === '--check'));
});

test('what a kernel lacks is named, with what to do', (t) => {
  t.deepEqual(findFeatures(lacking('socket').run), { findsListeners: false });
  for (const [word, what] of [
    ['type', /lacks nf_tables with tables of family inet/u],
    ['type nat', /lacks address translation in tables of family inet/u],
    ['redirect', /lacks redirection \(CONFIG_NFT_REDIR, module nft_redir\): load the module/u],
    ['ct state', /lacks the state of connections \(CONFIG_NFT_CT, module nft_ct\)/u],
    ['fib', /lacks address lookups/u],
    ['nothing of the kind', /^nft refused the rules: Error: Could not process rule$/u],
  ] as const) {
    t.regex(explainFailure(lacking(word).run, failure), what, word);
  }
});

test('no nft, and no permission', (t) => {
  const { run, asked } = lacking('');
  t.regex(explainFailure(run, { ...failure, missing: true }), /^There is no program nft here: /u);
  const denied = 'netlink: Error: cache initialization failed: Operation not permitted';
  t.regex(explainFailure(run, { ...failure, message: denied }), /capability NET_ADMIN/u);
  t.deepEqual(asked, []);
});
