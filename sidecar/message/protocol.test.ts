import test from 'ava';
import * as fc from 'fast-check';
import { type Answer, delivered, failed, OUTCOMES, RECEIVED } from './answer.ts';
import {
  dotted,
  forwardedLine,
  isHttp,
  LONGEST_LINE,
  LONGEST_READ,
  MOST_HOPS,
  parseReply,
  parseRequest,
  replyLine,
} from './protocol.ts';

const HELLO = 'eyJwYXlsb2FkIjogIkhlbGxvIGZyb20gcHJveHktc2lkZWNhciJ9';
const GOOD = { service: 'hello.demo', direction: 'Incoming', payload: HELLO };

function textOf({ payload }: Answer): string {
  return Buffer.from(payload, 'base64').toString();
}

function wrongIn(line: unknown): string {
  const parsed = parseRequest(typeof line === 'string' ? line : JSON.stringify(line));
  if (parsed.ok) return 'nothing';
  const { error } = JSON.parse(textOf(parsed.answer)) as { error: string };
  return `${parsed.answer.outcome}: ${error}`;
}

test('a request, whose namespace is cortexflow where none is named', (t) => {
  t.deepEqual(parseRequest(JSON.stringify(GOOD)), {
    ok: true,
    message: { service: 'demo/hello', payload: HELLO, hops: 0, from: undefined },
  });
  const line = `{"service":"test-proxy2","direction":"Incoming","payload":"","more":[1]}`;
  t.deepEqual(parseRequest(line), {
    ok: true,
    message: { service: 'cortexflow/test-proxy2', payload: '', hops: 0, from: undefined },
  });
});

test('whatever is wrong with a line is said in the form of a reply', (t) => {
  t.is(wrongIn('{'), 'bad-json: Delivery failed: the line is not a JSON object, and is "{".');
  for (const line of ['null', '1', '"text"', '[{}]', '[['.repeat(50_000)])
    t.regex(wrongIn(line), /^bad-json: /u);
  const { direction, payload, service, ...rest } = GOOD;
  t.regex(wrongIn({ direction, payload, ...rest }), /^bad-service: Delivery failed: service is missing/u);
  for (const name of ['', 'Hello', 'a.b.c', 'a/b', '-a', 'a\n', 'x'.repeat(64), 7, null, {}]) {
    t.regex(wrongIn({ ...GOOD, service: name }), /^bad-service: Delivery failed: service is /u);
  }
  t.is(
    wrongIn({ service, payload }),
    'no-direction: Delivery failed: direction is missing: a request has "Incoming".',
  );
  for (const wrong of ['Outcoming', 'incoming', '', null, 1]) {
    t.regex(wrongIn({ ...GOOD, direction: wrong }), /^wrong-direction: Delivery failed: direction is /u);
  }
  t.is(
    wrongIn({ service, direction }),
    'bad-payload: Delivery failed: payload is missing: give it in base64.',
  );
  for (const wrong of [
    'a',
    'ab==c',
    'YWI',
    'YWJj ',
    'YW Jj',
    'YWJjZB==',
    '_-8=',
    'YW=I',
    '====',
    5,
    null,
    ['YWJj'],
  ]) {
    t.regex(wrongIn({ ...GOOD, payload: wrong }), /^bad-payload: Delivery failed: payload is not base64/u);
  }
  for (const wrong of [-1, 1.5, MOST_HOPS + 1, '1', null]) {
    t.regex(wrongIn({ ...GOOD, hops: wrong }), /^bad-hops: Delivery failed: hops is /u);
  }
});

test('errors name the service as far as it is known, and quote no more than a little', (t) => {
  const parsed = parseRequest(JSON.stringify({ ...GOOD, payload: '!'.repeat(100_000) }));
  t.false(parsed.ok);
  if (parsed.ok) return;
  t.is(parsed.service, 'demo/hello');
  t.true(parsed.answer.detail.length < 250);
  t.is(
    replyLine(parsed.service, parsed.answer, false).split('"service":')[1],
    '"hello.demo","direction":"Outcoming"}\n',
  );
});

test('every payload comes through, and only canonical base64 does', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const payload = Buffer.from(bytes).toString('base64');
      const parsed = parseRequest(JSON.stringify({ ...GOOD, payload }));
      t.true(parsed.ok && parsed.message.payload === payload);
    }),
  );
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), (payload) => {
      const { ok } = parseRequest(JSON.stringify({ ...GOOD, payload }));
      t.is(
        ok,
        /^(?:[\w+/]{4})*(?:[\w+/]{2}==|[\w+/]{3}=)?$/u.test(payload) &&
          Buffer.from(payload, 'base64').toString('base64') === payload,
      );
    }),
  );
});

test('no line makes it throw, and every mistake is told as one line of JSON', (t) => {
  const noise = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc
      .record(
        { service: fc.anything(), direction: fc.anything(), payload: fc.anything(), hops: fc.anything() },
        { requiredKeys: [] },
      )
      .map((value) =>
        JSON.stringify(value, (_key, field) =>
          typeof field === 'bigint' ? String(field) : (field as unknown),
        ),
      ),
  );
  fc.assert(
    fc.property(noise, (line) => {
      const parsed = parseRequest(line);
      if (parsed.ok) return;
      const reply = replyLine(parsed.service, parsed.answer, false);
      t.is(reply.indexOf('\n'), reply.length - 1);
      t.deepEqual(Object.keys(JSON.parse(reply) as object), ['payload', 'service', 'direction']);
      t.regex(textOf(parsed.answer), /^\{"error":"Delivery failed: /u);
    }),
    { numRuns: 2_000 },
  );
});

test('however deep a line nests, it is told what is wrong with it', (t) => {
  for (const [begin, end, words] of [
    ['[', ']', 'an array'],
    ['{"a":', '}', 'an object'],
    // With keys that are numbers, not even JSON.stringify writes out what JSON.parse has read.
    ['{"0":', '}', 'an object'],
  ] as const) {
    const depth = 4_000;
    const deep = `${begin.repeat(depth)}1${end.repeat(depth)}`;
    for (const field of ['service', 'direction', 'payload', 'hops']) {
      const others = Object.entries(GOOD).filter(([key]) => key !== field);
      const line = `{${others.map(([key, value]) => `"${key}":"${value}",`).join('')}"${field}":${deep}}`;
      t.true(wrongIn(line).includes(`is ${words}`), `${field} of ${begin}`);
    }
    for (const field of ['payload', 'outcome'])
      t.is(parseReply(`{"direction":"Outcoming","${field}":${deep}}`), undefined);
  }
});

test('a line of very many values is not parsed', (t) => {
  for (const values of ['[],'.repeat(10_000), '['.repeat(10_001), '{"a":'.repeat(10_001)]) {
    t.is(
      wrongIn(`{"service":"a","more":${values}`),
      'bad-json: Delivery failed: the line has more than 10000 values: a request has three.',
    );
  }
  const more = Array.from({ length: 9_000 }, (_, index) => index);
  t.is(wrongIn({ ...GOOD, more }), 'nothing');
});

test('a forwarded line has one hop more and who sent it first', (t) => {
  const first = parseRequest(JSON.stringify({ ...GOOD, from: '10.0.0.9' }));
  t.true(first.ok && first.message.from === undefined, 'a client does not say who it is');
  if (!first.ok) return;
  const second = parseRequest(forwardedLine(first.message, '10.0.0.7'));
  t.deepEqual(second, { ok: true, message: { ...first.message, hops: 1, from: '10.0.0.7' } });
  const forged = parseRequest(JSON.stringify({ ...GOOD, hops: 1, from: 'x\r\ny: z' }));
  t.true(forged.ok && forged.message.from === undefined);
});

test('the longest line that is taken is forwarded in one that is read', (t) => {
  const around = JSON.stringify({ ...GOOD, payload: '' }).length;
  const payload = 'A'.repeat(Math.floor((LONGEST_LINE - around) / 4) * 4);
  const name = `${'x'.repeat(63)}.${'y'.repeat(63)}`;
  const parsed = parseRequest(JSON.stringify({ ...GOOD, service: name.slice(-10), payload }));
  t.true(parsed.ok);
  if (!parsed.ok) return;
  const from = `ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%${'e'.repeat(15)}`;
  t.true(forwardedLine(parsed.message, from).length <= LONGEST_READ);
});

test('replies have the three fields of the contract, and between sidecars what became of it', (t) => {
  t.is(
    replyLine('demo/hello', RECEIVED, false),
    '{"payload":"eyJzdGF0dXMiOiJyZWNlaXZlZCJ9","service":"hello.demo","direction":"Outcoming"}\n',
  );
  for (const outcome of OUTCOMES) {
    const answer: Answer = { outcome, payload: HELLO, detail: '' };
    t.deepEqual(parseReply(replyLine('demo/hello', answer, true)), answer);
    t.is(parseReply(replyLine('demo/hello', answer, false)), undefined);
    t.is(parseReply(replyLine('', answer, false))?.outcome, 'overloaded');
  }
  for (const line of ['', '{}', 'null', '{"direction":"Outcoming","payload":"!","outcome":"delivered"}']) {
    t.is(parseReply(line), undefined);
  }
});

test('what begins a request in HTTP is told from a message, and from other mistakes', (t) => {
  for (const line of ['GET / HTTP/1.1', 'M-SEARCH * http/1.1', 'get /a b HTTP/1.0 ', 'Host: x', 'host:'])
    t.true(isHttp(line), line);
  for (const line of [
    '{"service":"a b HTTP/1.1',
    JSON.stringify({ ...GOOD, x: ' / HTTP/1.1' }),
    'HTTP/1.1',
    'hello',
    '',
  ])
    t.false(isHttp(line), line);
});

test('who sent a message first is believed to be an address, and none that fills a header', (t) => {
  const fromOf = (from: unknown): string | undefined => {
    const parsed = parseRequest(JSON.stringify({ ...GOOD, hops: 1, from }));
    return parsed.ok ? parsed.message.from : t.fail();
  };
  const longest = `0000:0000:0000:0000:0000:ffff:255.255.255.255%${'e'.repeat(15)}`;
  for (const from of ['10.244.1.7', 'fe80::1%eth0', longest]) t.is(fromOf(from), from);
  const others = [`fe80::1%${'e'.repeat(20_000)}`, '10.244.1.7\r\nx: y', '::1\0', '', 7, null, ['::1']];
  for (const from of others) t.is(fromOf(from), undefined);
});

test('an answer of nothing is told as received', (t) => {
  t.is(textOf(delivered('')), '{"status":"received"}');
  t.is(textOf(delivered(HELLO)), '{"payload": "Hello from proxy-sidecar"}');
  t.is(textOf(failed('lost', 'why "so".')), String.raw`{"error":"Delivery failed: why \"so\"."}`);
  t.is(dotted('demo/hello'), 'hello.demo');
  t.is(dotted(''), '');
});
