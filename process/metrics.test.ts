import test from 'ava';
import { Registry } from 'prom-client';
import { exposeCounter, exposeGauge } from './metrics.ts';

test('values are read at each scrape, and summed up per series', async (t) => {
  const registry = new Registry();
  let open = 1;
  exposeGauge(registry, { name: 'open', help: 'Open.', collect: (add) => add(open) });
  exposeCounter(registry, {
    name: 'bytes_total',
    help: 'Bytes.',
    labelNames: ['service'],
    collect: (add) => {
      add(2, { service: 'a' });
      add(3, { service: 'a' });
      add(5, { service: 'b"\n' });
    },
  });
  await registry.metrics();
  open = 7;
  const text = await registry.metrics();
  t.regex(text, /^open 7$/m);
  t.regex(text, /^bytes_total\{service="a"\} 5$/m);
  t.regex(text, /^bytes_total\{service="b\\"\\n"\} 5$/m);
});
