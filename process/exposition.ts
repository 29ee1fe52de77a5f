import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Registry } from 'prom-client';

/** Some milliseconds of work. */
const SERIES_IN_A_TURN = 500;

/** What prom-client has and does not declare. */
interface Collected {
  readonly values: readonly unknown[];
}
interface Collectable {
  readonly get: () => Promise<Collected>;
  /** Of histograms alone. */
  readonly getForPromString?: () => Promise<Collected>;
}
interface Renderer {
  getMetricsAsString(metric: Collectable): Promise<string>;
}

/** What `registry.metrics()` returns, made in many turns of the event loop, so that a scrape holds up nothing else. */
export async function renderMetrics(registry: Registry): Promise<string> {
  const renderer = registry as unknown as Renderer;
  const metrics: string[] = [];
  for (const { name } of registry.getMetricsAsArray()) {
    metrics.push(await renderMetric(renderer, registry.getSingleMetric(name) as unknown as Collectable));
  }
  return `${metrics.join('\n\n')}\n`;
}

async function renderMetric(renderer: Renderer, metric: Collectable): Promise<string> {
  await nextTurn();
  const collected = await (metric.getForPromString?.() ?? metric.get());
  const lines: string[] = [];
  for (let at = 0; at === 0 || at < collected.values.length; at += SERIES_IN_A_TURN) {
    if (at > 0) await nextTurn();
    const values = collected.values.slice(at, at + SERIES_IN_A_TURN);
    const text = await renderer.getMetricsAsString({ get: async () => ({ ...collected, values }) });
    const [help = '', type = '', ...series] = text.split('\n');
    if (at === 0) lines.push(help, type);
    lines.push(...series);
  }
  return lines.join('\n');
}
