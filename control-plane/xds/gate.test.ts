import test from 'ava';
import { status } from '@grpc/grpc-js';
import { createCounters } from './counters.ts';
import { Gate } from './gate.ts';
import { DEFAULT_LIMITS } from './limits.ts';

test('given a peer that uses up its admission, others are let in', (t) => {
  const counters = createCounters();
  const limits = { ...DEFAULT_LIMITS, newStreamsBurst: 10, newStreamsBurstPerCaller: 4 };
  const gate = new Gate(limits, counters, 0);
  const answers = Array.from({ length: 100 }, (_, at) => gate.admit(`10.0.0.1:${1000 + at}`, 0));
  t.is(answers.filter((answer) => answer === undefined).length, 4);
  t.is(answers.at(-1)?.code, status.UNAVAILABLE);
  t.is(counters.callerAdmissionsRefused, 96);
  t.is(gate.admit('10.0.0.2:1000', 0), undefined);
});

test('given as many streams as may be open, in all or of one caller, refuses one more', (t) => {
  const counters = createCounters();
  const gate = new Gate({ ...DEFAULT_LIMITS, streams: 5, streamsPerCaller: 1 }, counters, 0);
  t.is(gate.opened('one'), undefined);
  t.is(gate.opened('one')?.code, status.RESOURCE_EXHAUSTED);
  t.is(gate.opened('other'), undefined);
  gate.closed('one');
  t.is(gate.opened('one'), undefined);
  counters.streams = 5;
  t.is(gate.admit('10.0.0.1:1000', 0)?.code, status.UNAVAILABLE);
  t.is(counters.streamsRefused, 1);
});
