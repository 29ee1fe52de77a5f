import test from 'ava';
import { PageSize } from './page-size.ts';

test('is halved down to one, and doubled after pages that came', (t) => {
  const size = new PageSize(500);
  const halves: number[] = [];
  while (size.wasTooMuch()) halves.push(size.current);
  t.deepEqual(halves, [250, 125, 62, 31, 15, 7, 3, 1]);
  for (let page = 0; page < 7; page += 1) size.came();
  t.is(size.current, 1);
  size.came();
  t.is(size.current, 2);
  for (let page = 0; page < 100; page += 1) size.came();
  t.is(size.current, 500);
});
