import test from 'ava';
import { Gauge, Histogram, Registry, Summary } from 'prom-client';
import { renderMetrics } from './exposition.ts';
import { exposeCounter } from './metrics.ts';

function registryWith(series: number): Registry {
  const registry = new Registry();
  exposeCounter(registry, {
    name: 'cortexflow_tries_total',
    help: 'Tries, a line\nand another.',
    labelNames: ['service'],
    collect: (add) => {
      for (let index = 0; index < series; index += 1) add(index, { service: `"${index}"\n` });
    },
  });
  return registry;
}

test('given metrics of all kinds, renders what prom-client does', async (t) => {
  for (const series of [0, 1, 499, 500, 501, 1_700]) {
    const registry = registryWith(series);
    registry.setDefaultLabels({ node: 'a' });
    const registers = [registry];
    const labelNames = ['service'];
    const histogram = new Histogram({ name: 'seconds', help: 'Seconds.', labelNames, registers });
    const summary = new Summary({ name: 'bytes', help: 'Bytes.', labelNames, registers });
    for (let index = 0; index < 200; index += 1) {
      histogram.observe({ service: String(index % 70) }, index / 100);
      summary.observe({ service: String(index % 70) }, index);
    }
    void new Gauge({ name: 'nothing', help: 'Nothing yet.', labelNames, registers });
    t.is(await renderMetrics(registry), await registry.metrics(), `${series} series`);
  }
  t.is(await renderMetrics(new Registry()), await new Registry().metrics());
});

test('given many series, lets the event loop go on while it renders them', async (t) => {
  let turns = 0;
  let isRendering = true;
  const count = (): void => {
    turns += 1;
    if (isRendering) setImmediate(count);
  };
  setImmediate(count);
  await renderMetrics(registryWith(5_000));
  isRendering = false;
  t.true(turns >= 10, `${turns} turns`);
});
