import type { Decision, Destination } from './decision.ts';
import type { Schedule } from './interest.ts';
import type { ServiceKey } from './service.ts';

/**
 * For how long the table is believed after the control plane fell silent. Addresses of pods are given out again,
 * to other pods: a table that nobody keeps up leads astray in the end.
 */
const BELIEVED_MS = 300_000;

/** How far what the control plane has told reaches. */
export interface Told {
  /** Whether something was told of it that could not be taken, so that the table lacks it or has what it was before. */
  isRejected(service: ServiceKey): boolean;
  /** Whether all Services there are have been told: on the present stream, since others come and go between two. */
  readonly hasAllServices: boolean;
  /** The same of the endpoints of a Service. */
  hasAllEndpoints(service: ServiceKey): boolean;
  /** Another number whenever any of this may have changed. */
  readonly toldVersion: number;
}

const ALL_TOLD: Told = {
  isRejected: () => false,
  hasAllServices: true,
  hasAllEndpoints: () => true,
  toldVersion: 0,
};

/**
 * How far the table can be relied on where there is another way: a connection to the cluster IP of a Service finds
 * an endpoint without the mesh, too, by what Kubernetes itself knows. While a control plane answers, the table is
 * right. Afterwards it is used for a while, but not for Services of which it turned out wrong.
 */
export class Trust {
  readonly #schedule: Schedule;
  readonly #told: Told;
  readonly #doubted = new Set<ServiceKey>();
  /** Of an empty table nothing can be wrong; whoever begins with one from disk says so. */
  #isCurrent = true;
  #isOutdated = false;
  #version = 0;
  #cancel: (() => void) | undefined;

  constructor(schedule: Schedule, told = ALL_TOLD) {
    this.#schedule = schedule;
    this.#told = told;
  }

  /** Whether a control plane answers, so that nothing better is known than what the table says. */
  get isCurrent(): boolean {
    return this.#isCurrent;
  }

  /** Another number whenever anything of this may have changed. */
  get version(): number {
    return this.#version + this.#told.toldVersion;
  }

  /** Whether connections to this Service are better left to find their way without the mesh. */
  isLost(service: ServiceKey): boolean {
    return this.#isOutdated || this.#doubted.has(service);
  }

  /** Whether the table lacks this Service or its newest state, so that what it says may serve, and proves nothing. */
  isRejected(service: ServiceKey): boolean {
    return this.#told.isRejected(service);
  }

  /** Whether a Service that the table lacks does not exist. */
  get hasAllServices(): boolean {
    return this.#isCurrent && this.#told.hasAllServices;
  }

  /** Whether an endpoint that the table lacks of this Service does not exist. */
  hasAllEndpoints(service: ServiceKey): boolean {
    return this.#isCurrent && this.#told.hasAllEndpoints(service);
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
