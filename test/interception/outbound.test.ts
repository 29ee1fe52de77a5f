import test from 'ava';
import { Mesh } from './mesh.ts';
import { skipped } from './skipped.ts';
import type { Pod } from './pod.ts';

// What an application that knows nothing of a mesh sees of its own connections.

if (!skipped(test)) {
  let mesh: Mesh;
  let client: Pod;
  let one: Pod;
  let two: Pod;

  test.before(async () => {
    mesh = await Mesh.create('out');
    [client, one, two] = await Promise.all([mesh.pod('client'), mesh.pod('one'), mesh.pod('two')]);
    for (const [name, pod] of Object.entries({ one, two })) {
      await pod.ask('serve', { kind: 'name', port: 8080, name });
    }
    const pods = [one, two];
    mesh.write({ name: 'hello', clusterIps: ['10.96.0.10', 'fd96::10'], port: 80, targetPort: 8080, pods });
    await mesh.startControlPlane();
    await client.inject(mesh.bootstrap());
  });

  test.after.always(() => mesh.remove());

  for (const host of ['10.96.0.10', '[fd96::10]']) {
    test.serial(`connections to a cluster IP are balanced over its endpoints: ${host}`, async (t) => {
      const answers = new Map<string, number>();
      for (let count = 0; count < 40; count += 1) {
        const [name = ''] = (await client.curl(`http://${host}`)).split(' ');
        answers.set(name, (answers.get(name) ?? 0) + 1);
      }
      t.deepEqual([...answers.keys()].toSorted(), ['one', 'two']);
      t.true(Math.min(...answers.values()) >= 5, JSON.stringify([...answers]));
    });
  }
}
