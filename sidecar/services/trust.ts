import type { Decision, Destination } from './decision.ts';
import type { Schedule } from './interest.ts';
import type { ServiceKey } from './service.ts';

/**
 * For how long the table is believed after the control plane fell silent. Addresses of pods are given out again,
 * to other pods: a table that nobody keeps up leads astray in the end.
 */
const BELIEVED_MS = 300_000;

/** What was told and could not be taken, so that the table lacks it or has what it was before. */
export interface Rejections {
  isRejected(service: ServiceKey): boolean;
  /** Another number whenever that may have changed. */
  readonly rejectionsVersion: number;
}

const NO_REJECTIONS: Rejections = { isRejected: () => false, rejectionsVersion: 0 };

/**
 * How far the table can be relied on where there is another way: a connection to the cluster IP of a Service finds
 * an endpoint without the mesh, too, by what Kubernetes itself knows. While a control plane answers, the table is
 * right. Afterwards it is used for a while, but not for Services of which it turned out wrong.
 */
export class Trust {
  readonly #schedule: Schedule;
  readonly #rejections: Rejections;
  readonly #doubted = new Set<ServiceKey>();
  /** Of an empty table nothing can be wrong; whoever begins with one from disk says so. */
  #isCurrent = true;
  #isOutdated = false;
  #version = 0;
  #cancel: (() => void) | undefined;

  constructor(schedule: Schedule, rejections = NO_REJECTIONS) {
    this.#schedule = schedule;
    this.#rejections = rejections;
  }

  /** Whether a control plane answers, so that nothing better is known than what the table says. */
  get isCurrent(): boolean {
    return this.#isCurrent;
  }

  /** Another number whenever anything of this may have changed. */
  get version(): number {
    return this.#version + this.#rejections.rejectionsVersion;
  }

  /** Whether connections to this Service are better left to find their way without the mesh. */
  isLost(service: ServiceKey): boolean {
    return this.#isOutdated || this.#doubted.has(service);
  }

  /** Whether the table lacks this Service or its newest state, so that what it says may serve, and proves nothing. */
  isRejected(service: ServiceKey): boolean {
    return this.#rejections.isRejected(service);
  }

  /** What the table says of a Service turned out wrong. Nothing follows from that while a control plane answers. */
  doubt(service: ServiceKey): void {
    if (this.#isCurrent) return;
    this.#doubted.add(service);
    this.#version++;
  }

  sourceAnswers(answers: boolean): void {
    if (answers === this.#isCurrent) return;
    this.#isCurrent = answers;
    this.#version++;
    this.close();
    if (answers) {
      this.#isOutdated = false;
      this.#doubted.clear();
    } else {
      this.#cancel = this.#schedule(BELIEVED_MS, () => {
        this.#isOutdated = true;
        this.#version++;
      });
    }
  }

  /** Calls off the timer. */
  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}

/** The decision, or the way without the mesh where the address leads somewhere and the table may be wrong. */
export function withTrust(decision: Decision, destination: Destination, trust: Trust): Decision {
  const service = distrusted(decision, trust);
  if (service === undefined || destination.kind !== 'address') return decision;
  return { action: 'pass-through', address: destination.address, port: destination.port, service };
}

/** The Service whose table entry is better not followed. */
function distrusted(decision: Decision, trust: Trust): ServiceKey | undefined {
  if (decision.action === 'refuse') return trust.isCurrent ? undefined : decision.service;
  if (decision.action !== 'balance') return undefined;
  const { key } = decision.group.service;
  return trust.isLost(key) ? key : undefined;
}
