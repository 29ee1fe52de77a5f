import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Logger } from '../../process/log.ts';
import { ENDPOINTS_TYPE_URL, endpointsCollection } from '../../wire/resource-kinds.ts';
import type { Change } from '../services/change.ts';
import type { LocalityView, ServiceView } from '../services/describe.ts';
import { describeLocality, describeServices, timestamp } from '../services/describe.ts';
import { Directory } from '../services/directory.ts';
import type { Locality } from '../services/groups.ts';
import type { Schedule } from '../services/interest.ts';
import { LastGoodWriter, loadLastGood, writeAtomically } from '../services/last-good.ts';
import type { ServiceKey } from '../services/service.ts';
import type { Ceiling } from './ceiling.ts';
import type { ClientStatus } from './client.ts';
import { ControlPlaneClient } from './client.ts';
import type { Identity } from './identity.ts';
import { nodeToLearnFrom, wireNode } from './identity.ts';
import { RejectionLog } from './rejection-log.ts';
import { resourceKinds } from './resource-kind.ts';
import type { Received } from './session.ts';
import { Session } from './session.ts';
import type { ControlPlaneView, RejectionView } from './view.ts';
import { describeControlPlane, describeRejection } from './view.ts';
import { DIFFERENCE, FIRST_ANSWER, Settling } from './settling.ts';

/** What the world outside supplies, so that a test can. */
export interface World {
  readonly now: () => number;
  readonly random: () => number;
  readonly schedule: Schedule;
}

export interface DiscoveryOptions {
  readonly node: Identity;
  /** Control planes, `host:port`. */
  readonly addresses: readonly string[];
  readonly credentials: ChannelCredentials;
  /** Services whose endpoints are held for good. */
  readonly pinned: Iterable<ServiceKey>;
  readonly lastGoodFile: string | undefined;
  readonly endpointsIdleMs: number;
  /** How long a connection waits for the first word of a Service. */
  readonly waitMs: number;
  /** How much may be held; as much as the largest mesh needs where it is left out. */
  readonly ceiling?: Ceiling;
  readonly log: Logger;
  readonly world: World;
}

export interface DiscoveryView {
  readonly controlPlane: ControlPlaneView;
  readonly recentRejections: readonly RejectionView[];
  readonly lastGood: { readonly file: string; readonly saved: string | undefined } | undefined;
  readonly locality: LocalityView;
  readonly servicesKnown: boolean;
  readonly services: readonly ServiceView[];
}

/** Totals since the start. */
export interface DiscoveryCounters {
  readonly responses: number;
  readonly rejectedResources: number;
  readonly lastGoodFailures: number;
}

/** Learns what is in the mesh: first from disk, then from the control plane, for as long as it runs. */
export class Discovery {
  readonly directory: Directory;
  readonly #options: DiscoveryOptions;
  readonly #session: Session;
  readonly #client: ControlPlaneClient;
  readonly #lastGood: LastGoodWriter | undefined;
  readonly #settling: Settling;
  readonly #confirming: Settling;
  readonly #rejections: RejectionLog;
  #stopped = false;
  #responses = 0;

  constructor(options: DiscoveryOptions) {
    const { node, lastGoodFile, ceiling, log, world } = options;
    this.#options = options;
    this.#rejections = new RejectionLog(log, (resource) => this.#session.holds(resource));
    this.#session = new Session({
      kinds: resourceKinds(nodeToLearnFrom(node)),
      node: wireNode(node),
      keepsBytes: lastGoodFile !== undefined,
      ...(ceiling === undefined ? {} : { ceiling }),
    });
    this.#lastGood =
      lastGoodFile === undefined
        ? undefined
        : new LastGoodWriter({
            path: lastGoodFile,
            collect: () => this.#session.stored(),
            write: writeAtomically,
            schedule: world.schedule,
            now: world.now,
            log,
          });
    this.#settling = new Settling(world, FIRST_ANSWER, () => {
      this.#apply(this.#session.settle());
    });
    this.#confirming = new Settling(world, DIFFERENCE, () => {
      this.#session.confirm();
      this.#apply([]);
    });
    this.directory = this.#newDirectory();
    this.#client = this.#newClient();
  }

  get counters(): DiscoveryCounters {
    return {
      responses: this.#responses,
      rejectedResources: this.#rejections.total,
      lastGoodFailures: this.#lastGood?.failures ?? 0,
    };
  }

  get status(): ClientStatus {
    return this.#client.status;
  }

  /** Resolves once what is on disk is in use; the control plane is asked from then on. */
  async start(): Promise<void> {
    const held = await this.#restore();
    if (!this.#stopped) {
      this.directory.start(held);
      this.#client.start();
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#client.stop();
    this.#settling.cancel();
    this.#confirming.cancel();
    this.directory.close();
    await this.#lastGood?.close();
  }

  /** All that is known and where it came from, as plain values. */
  view(): DiscoveryView {
    const { lastGoodFile: file } = this.#options;
    return {
      controlPlane: describeControlPlane(this.#client.status),
      recentRejections: this.#rejections.recent.map(describeRejection),
      lastGood: file === undefined ? undefined : { file, saved: timestamp(this.#lastGood?.savedMs) },
      locality: describeLocality(this.directory.table),
      servicesKnown: this.directory.table.servicesKnown,
      services: describeServices(this.directory.table),
    };
  }

  #newDirectory(): Directory {
    const { node, pinned, endpointsIdleMs, waitMs, world } = this.#options;
    return new Directory({
      locality: { zone: node.zone, node: node.nodeName },
      source: {
        subscribe: (service) => {
          this.#client.subscribe(ENDPOINTS_TYPE_URL, endpointsCollection(service));
        },
        unsubscribe: (service) => {
          this.#client.unsubscribe(ENDPOINTS_TYPE_URL, endpointsCollection(service));
          this.#lastGood?.changed();
        },
      },
      schedule: world.schedule,
      endpointsIdleMs,
      waitMs,
      pinned,
    });
  }

  #newClient(): ControlPlaneClient {
    const { addresses, credentials, log, world } = this.#options;
    return new ControlPlaneClient({
      addresses,
      credentials,
      session: this.#session,
      log,
      ...world,
      onReceived: (received) => {
        this.#take(received);
      },
      onAnswering: () => {
        this.directory.sourceAnswers(true);
      },
      onConnection: ({ state }) => {
        this.#apply([]);
        if (state === 'connected') {
          this.#confirming.heard();
        } else {
          // What was missing of an answer comes on another stream, if at all.
          this.#settling.cancel();
          this.#confirming.cancel();
        }
        // While it is being tried again after a failure, nothing is known anew; connected, it has yet to answer.
        if (state === 'waiting' || state === 'stopped') {
          this.directory.sourceAnswers(false);
        }
      },
    });
  }

  async #restore(): Promise<readonly Change[]> {
    const { lastGoodFile, log } = this.#options;
    const loaded = lastGoodFile === undefined ? undefined : await loadLastGood(lastGoodFile);
    if (loaded?.kind === 'unusable') {
      log.warn('Started without the last good table', { why: loaded.why });
    }
    if (loaded?.kind !== 'loaded') {
      return [];
    }
    const { types, savedMs } = loaded.lastGood;
    const { changes, unusable } = this.#session.restore(types, savedMs);
    if (unusable > 0) {
      log.warn('Could not read some of the last good table; the control plane is asked for it', {
        file: lastGoodFile,
        resources: unusable,
      });
    }
    log.info('Started from the last good table', {
      file: lastGoodFile,
      savedAt: timestamp(savedMs),
      services: changes.filter(({ kind }) => kind === 'service').length,
    });
    return changes;
  }

  #apply(changes: readonly Change[]): void {
    const { locality } = this.directory.table;
    this.directory.apply([...changes, { kind: 'extent', extent: this.#session.extent }]);
    this.#noteMove(locality);
    if (changes.length > 0) {
      this.#lastGood?.changed();
    }
  }

  #noteMove(before: Locality): void {
    const { locality } = this.directory.table;
    if (locality !== before) {
      this.#options.log.info('Took the zone of the node, as the control plane knows it', { ...locality });
    }
  }

  #take({ changes, rejections, unsettled, begins }: Received): void {
    this.#responses += 1;
    this.#apply(changes);
    if (this.#session.hasUnconfirmed) {
      // What just began is not over because something else began long ago.
      if (begins) this.#confirming.cancel();
      this.#confirming.heard();
    }
    if (this.directory.table.servicesKnown) {
      this.#settling.cancel();
    } else if (unsettled || this.#settling.isRunning) {
      this.#settling.heard();
    }
    this.#rejections.add(rejections, this.#options.world.now());
  }
}
