import test from 'ava';
import { deltaStream, sotwStream } from './client.ts';
import { serve } from './serve.ts';

const T = 'type.googleapis.com/example.Thing';

test('delta and state of the world, over a socket', async (t) => {
  const serving = await serve();
  serving.resources.put(T, { 'a/1': 'x', 'a/2': 'y' });
  const delta = deltaStream(serving.address);
  delta.send({ typeUrl: T });
  const first = await delta.next();
  t.deepEqual(first.resources.map((r) => r.name).toSorted(), ['a/1', 'a/2']);
  delta.send({ typeUrl: T, responseNonce: first.nonce });
  serving.resources.put(T, { 'a/1': undefined, 'a/3': 'z' });
  const second = await delta.next();
  t.deepEqual(
    second.resources.map((r) => r.name),
    ['a/3'],
  );
  t.deepEqual(second.removedResources, ['a/1']);
  const sotw = sotwStream(serving.address);
  sotw.send({ typeUrl: T });
  t.is((await sotw.next()).resources.length, 2);
  delta.close();
  sotw.close();
  await serving.stop();
});
