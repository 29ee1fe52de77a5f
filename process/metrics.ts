import { Counter, Gauge, type Registry, type RegistryContentType } from 'prom-client';

type AnyRegistry = Registry<RegistryContentType>;
type Labels = Readonly<Record<string, string | number>>;

/** A metric whose values are kept elsewhere, as plain numbers, and read when somebody scrapes. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
  /** Calls `add` for each series; what is added to the same labels is summed up. */
  readonly collect: (add: (value: number, labels?: Labels) => void) => void;
}

export function exposeCounter(registry: AnyRegistry, metric: Metric): void {
  expose(registry, metric, Counter);
}

export function exposeGauge(registry: AnyRegistry, metric: Metric): void {
  expose(registry, metric, Gauge);
}

function expose(registry: AnyRegistry, metric: Metric, Kind: typeof Counter | typeof Gauge): void {
  const { name, help, labelNames = [], collect } = metric;
  void new Kind({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect(this: Counter | Gauge) {
      this.reset();
      collect((value, labels = {}) => this.inc(labels, value));
    },
  });
}
