import { deepStrictEqual } from 'node:assert';
import test from 'ava';
import * as fc from 'fast-check';
import { JsonScan } from './json-bounds.ts';

const UNBOUNDED = { depth: Number.POSITIVE_INFINITY, values: Number.POSITIVE_INFINITY };

interface Counted {
  readonly depth: number;
  readonly values: number;
}

/** The same, of what a parser makes of it. */
function counted(value: unknown): Counted {
  if (typeof value !== 'object' || value === null) return { depth: 0, values: 0 };
  const members = Object.values(value).map(counted);
  const colons = Array.isArray(value) ? 0 : members.length;
  return {
    depth: 1 + Math.max(0, ...members.map(({ depth }) => depth)),
    values: members.reduce((sum, { values }) => sum + values, 1 + colons + Math.max(0, members.length - 1)),
  };
}

function scanInPieces(text: string, pieceBytes: number, depth: number): { refused: boolean; values: number } {
  const scan = new JsonScan({ ...UNBOUNDED, depth });
  const bytes = Buffer.from(text);
  let refused = false;
  for (let at = 0; at < bytes.length && !refused; at += pieceBytes) {
    refused = scan.push(bytes.subarray(at, at + pieceBytes)) !== undefined;
  }
  return { refused, values: scan.values };
}

test('given any JSON in pieces, counts what a parser finds', (t) => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[\\"[\]{},:]{0,8}$/));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      text,
      fc.integer(),
      fc.array(tie('value')),
      fc.dictionary(text, tie('value')),
    ),
  }));
  fc.assert(
    fc.property(value, fc.integer({ min: 1, max: 9 }), fc.nat(4), (json, pieceBytes, space) => {
      const parsed = JSON.stringify(json, null, space);
      const { depth, values } = counted(JSON.parse(parsed));
      deepStrictEqual(scanInPieces(parsed, pieceBytes, depth), { refused: false, values });
      if (depth > 0) deepStrictEqual(scanInPieces(parsed, pieceBytes, depth - 1).refused, true);
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});

test('given what goes beyond the bounds, says so with the first chunk that does', (t) => {
  const scan = new JsonScan({ depth: 3, values: 10 });
  t.is(scan.push(Buffer.from('[[[')), undefined);
  t.is(scan.push(Buffer.from('"[[["')), undefined);
  t.is(scan.push(Buffer.from(']]],[[[{}')), 'is nested deeper than 3 levels');
  t.is(new JsonScan({ depth: 3, values: 10 }).push(Buffer.from('[0,0,0,0,0,0,0,0,0,0]')), undefined);
  t.is(
    new JsonScan({ depth: 3, values: 10 }).push(Buffer.from('[0,0,0,0,0,0,0,0,0,0,0]')),
    'has more than 10 values',
  );
});
