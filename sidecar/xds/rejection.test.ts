import test from 'ava';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { BadRequestSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { rejectionStatus } from './rejection.ts';
import type { Rejection } from './rejection.ts';

function fields(rejections: readonly Rejection[]): string[] {
  const [detail] = rejectionStatus(rejections).details;
  const details = detail === undefined ? undefined : anyUnpack(detail, BadRequestSchema);
  return details?.fieldViolations.map(({ field, description }) => `${field}: ${description}`) ?? [];
}

test('given a few rejections, names each in the details', (t) => {
  t.deepEqual(fields([{ name: 'demo/a', reason: 'is bad' }]), ['demo/a: is bad']);
});

test('given more rejections than it names, says so by a violation without a field', (t) => {
  const rejections = Array.from({ length: 102 }, (_, at) => ({ name: `demo/${at}`, reason: 'is bad' }));
  const told = fields(rejections);
  t.is(told.length, 101);
  t.is(told.at(-1), ': and 2 more');
});
