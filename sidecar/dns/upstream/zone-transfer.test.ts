import test from 'ava';
import { addressRecord, rcodeAnswer, recordsAnswer, soaRecord } from '../../../test/dns/name-server.ts';
import { queryFor } from '../alias.ts';
import { QueryReader } from '../query.ts';
import { ZoneTransfer } from './zone-transfer.ts';

const query = Buffer.from(queryFor(['example', 'com'], 252));
const [soa, older, oldest] = [soaRecord(7), soaRecord(6), soaRecord(5)] as const;
const address = addressRecord(1);

/** As few messages as can be, and as many. */
function waysToSend(records: readonly Buffer[]): readonly (readonly Buffer[])[] {
  const inOne = [recordsAnswer(query, records)];
  const inPairs = records.flatMap((record, index) =>
    index % 2 === 0 ? [recordsAnswer(query, [record, ...records.slice(index + 1, index + 2)])] : [],
  );
  return [inOne, inPairs, records.map((record) => recordsAnswer(query, [record]))];
}

function whenOver(messages: readonly Buffer[], asked = query): number {
  const reader = new QueryReader(7);
  reader.read(asked, 0, asked.length);
  const transfer = new ZoneTransfer(reader);
  return 1 + messages.findIndex((message) => transfer.isOver(message));
}

/** For what is newer than that. */
function changesSince(serial: number): Buffer<ArrayBuffer> {
  const ixfr = Buffer.concat([queryFor(['example', 'com'], 251), soaRecord(serial)]);
  ixfr.writeUInt16BE(1, 8);
  return ixfr;
}

test('a zone is over with its last record, and no sooner', (t) => {
  const zones = {
    whole: [soa, address, addressRecord(2), soa],
    'without anything': [soa, soa],
    changes: [soa, older, address, soa, addressRecord(2), soa],
    'changes that take nothing': [soa, older, soa, address, soa],
    'changes that add nothing': [soa, older, address, soa, soa],
    'changes of changes': [soa, oldest, address, older, address, older, address, soa, address, soa],
  };
  for (const [what, records] of Object.entries(zones)) {
    for (const messages of waysToSend(records)) {
      t.is(whenOver(messages), messages.length, what);
      t.is(whenOver(messages.slice(0, -1)), 0, what);
    }
  }
});

test('an error ends it, wherever it comes, and so does what is no zone', (t) => {
  const begun = recordsAnswer(query, [soa, address]);
  t.is(whenOver([rcodeAnswer(query, 5)]), 1);
  t.is(whenOver([begun, rcodeAnswer(query, 2), begun]), 2);
  t.is(whenOver([recordsAnswer(query, [])]), 1);
  t.is(whenOver([recordsAnswer(query, [address])]), 1);
});

test('what cannot be read does not end it', (t) => {
  const begun = recordsAnswer(query, [soa, address]);
  const cut = recordsAnswer(query, [address, soa]).subarray(0, -5);
  t.is(whenOver([begun, Buffer.from(cut), recordsAnswer(query, [soa])]), 3);
  const header = Buffer.from(begun.subarray(0, 12));
  t.is(whenOver([begun, header]), 0);
});

test('one SOA is all that comes to who has that zone or a newer one, and asks for what is new', (t) => {
  const one = (serial: number) => [recordsAnswer(query, [soaRecord(serial)])];
  for (const held of [7, 8, 7 + 2 ** 31 - 1]) t.is(whenOver(one(7), changesSince(held)), 1, `${held}`);
  for (const held of [6, 7 + 2 ** 31, 2 ** 32 - 1]) t.is(whenOver(one(7), changesSince(held)), 0, `${held}`);
  t.is(whenOver(one(2 ** 32 - 1), changesSince(3)), 1);
  t.is(whenOver([recordsAnswer(query, [soa, soa])], changesSince(7)), 1);
  t.is(whenOver(one(7), Buffer.from(queryFor(['example', 'com'], 251))), 0, 'it does not say what it has');
  t.is(whenOver(one(7)), 0, 'it asks for all');
});
