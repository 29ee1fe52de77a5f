import test from 'ava';
import { endpointsTold, serviceTold, WHOLE } from '../../test/dns/directory.ts';
import type { Change } from '../services/change.ts';
import { emptyTable, withChanges } from '../services/table.ts';
import { queryFor } from './alias.ts';
import { DnsCounters } from './counters.ts';
import { TYPE, uint16 } from './protocol.ts';
import { QueryReader } from './query.ts';
import { TableAnswers } from './table-answers.ts';
import { AnswerWriter } from './writer.ts';

const ROOM_BYTES = 4 * 1024 * 1024;
const ENDPOINTS = 1_000;

function headless(name: string): Change[] {
  const key = `demo/${name}`;
  const addresses = Array.from({ length: ENDPOINTS }, (_, index) => `10.0.${index >> 8}.${index & 0xff}`);
  return [serviceTold({ key, type: 'headless' }), endpointsTold(key, addresses)];
}

function started(changes: readonly Change[]) {
  const table = withChanges(emptyTable({ zone: '', node: '' }), [
    { kind: 'services-known' },
    { kind: 'extent', extent: WHOLE },
    ...changes,
  ]);
  const knowledge = { table, domain: ['cluster', 'local'] };
  return new TableAnswers({
    source: { knowledge, table },
    writer: new AnswerWriter(),
    counters: new DnsCounters(),
    now: Date.now,
  });
}

test('however many and however long, the answers that are remembered take no more than their room', (t) => {
  const names = Array.from({ length: 20 }, (_, index) => `pods-${index}`);
  const answers = started(names.flatMap(headless));
  const query = new QueryReader(7);
  let mostBytes = 0;
  const ask = (name: string, type: number) => {
    const bytes = queryFor(`${name}.demo.svc.cluster.local`.split('.'), type);
    query.read(bytes, 0, bytes.length);
    const found = answers.find(query);
    mostBytes = Math.max(mostBytes, answers.bytes);
    return found.kind === 'answer' ? uint16(found.prepared.bytesFor(query, 65_535), 6) : found.kind;
  };
  for (let time = 0; time < 2; time++) {
    for (const name of names) {
      t.is(ask(name, TYPE.A), ENDPOINTS);
      for (const port of ['_web._tcp', 'web._tcp', '_web.tcp', 'web.tcp']) {
        t.is(ask(`${port}.${name}`, TYPE.A), ENDPOINTS);
        t.true(Number(ask(`${port}.${name}`, TYPE.SRV)) > 0);
      }
    }
  }
  t.true(mostBytes > ROOM_BYTES / 2, 'some are remembered');
  t.true(mostBytes <= ROOM_BYTES);
  for (let index = 0; index < 20_000; index++) ask(`none-${index}`, TYPE.A);
  t.true(mostBytes <= ROOM_BYTES);
});
