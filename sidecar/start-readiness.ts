import type { Logger } from '../process/log.ts';
import type { Readiness } from '../process/readiness.ts';
import type { Schedule } from './services/interest.ts';
import type { Table } from './services/table.ts';

/** What becoming ready depends on: the room that holds the table. */
interface TableHolder {
  readonly ready: boolean;
  onTable(listener: (table: Table) => void): () => void;
}

export interface StartReadinessOptions {
  readonly directory: TableHolder;
  readonly readiness: Readiness;
  /** For how long a workload that can do without is kept waiting for a first table; undefined: for ever. */
  readonly waitMs: number | undefined;
  readonly schedule: Schedule;
  readonly log: Logger;
}

const WITHOUT_TABLE =
  'without a control plane: connections pass through to the addresses that were asked for';

/**
 * Ready with the first table, from disk or from a control plane. A workload whose connections are intercepted may
 * also go without one after a while: what nobody told of passes through to where it was going.
 */
export class StartReadiness {
  #isWithoutTable = false;

  constructor({ directory, readiness, waitMs, schedule, log }: StartReadinessOptions) {
    const becomeReady = readiness.block(
      'waiting for the Services of the mesh and the endpoints of the upstreams',
    );
    readiness.remark(() => (this.#isWithoutTable ? WITHOUT_TABLE : undefined));
    const cancel =
      waitMs === undefined
        ? undefined
        : schedule(waitMs, () => {
            this.#isWithoutTable = true;
            becomeReady();
            log.warn(
              'Ready without a control plane: none answered, and connections pass through unbalanced',
              {
                waitedMs: waitMs,
              },
            );
          });
    const stop = directory.onTable(() => {
      if (!directory.ready) return;
      stop();
      cancel?.();
      becomeReady();
      if (this.#isWithoutTable) log.info('Joined the mesh: the Services are known now');
      this.#isWithoutTable = false;
    });
  }

  /** Whether it is ready, and knows nothing of the mesh. */
  get isWithoutTable(): boolean {
    return this.#isWithoutTable;
  }
}
