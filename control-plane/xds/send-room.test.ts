import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { ByteBudget } from './byte-budget.ts';
import { SendRoom } from './send-room.ts';

test('given a caller that does not read, its streams wait and those of others are sent', async (t) => {
  const room = new SendRoom(new ByteBudget({ perCaller: 100, total: 150 }));
  room.sending('slow', 160);
  t.false(room.has('slow'));
  t.true(room.has('other'));
  room.sending('other', 10);
  t.false(room.has('other'));
  let advanced = 0;
  const stream = {
    advance: () => {
      advanced += 1;
    },
  };
  room.wait('slow', stream);
  t.true(room.isShort('slow'));
  room.sent('other', 10);
  await turn();
  t.is(advanced, 0);
  room.sent('slow', 100);
  await turn();
  t.is(advanced, 1);
  t.false(room.isShort('slow'));
});

test('given a waiting stream that ends, does not advance it any more', async (t) => {
  const room = new SendRoom(new ByteBudget({ perCaller: 10, total: 10 }));
  room.sending('one', 20);
  const stream = { advance: () => t.fail() };
  room.wait('one', stream);
  room.leave('one', stream);
  room.sent('one', 20);
  await turn();
  t.is(room.unsent, 0);
});

test('given callers that together leave no room and read nothing, all of them are in the way of one that waits', (t) => {
  const room = new SendRoom(new ByteBudget({ perCaller: 100, total: 150 }));
  room.sending('slow', 80);
  room.sending('stuck', 80);
  t.false(room.isShort('slow'));
  room.sending('other', 10);
  t.false(room.has('other'));
  room.wait('other', { advance: () => {} });
  t.true(room.isShort('slow'));
  t.true(room.isShort('stuck'));
});
