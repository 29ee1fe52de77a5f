import { fromBinary } from '@bufbuild/protobuf';
import { DeltaDiscoveryResponseSchema } from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import { ENDPOINTS_TYPE_URL, SERVICE_TYPE_URL } from '../../wire/resource-kinds.ts';
import { subscribeRequest } from './delta-messages.ts';
import type { DeltaResponse } from './delta-messages.ts';
import type { Pace, StreamPlan } from './delta-stream.ts';
import { DeltaStream, expectTypes } from './delta-stream.ts';
import { dataFrames, openCall } from './http2-frames.ts';
import { answerCommands } from './process-pair.ts';
import { usage } from './server-process.ts';

// The clients of the benchmark: a process that holds many streams and does as little as it can for each.

const DELTA_ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
const WINDOW: Readonly<Record<Pace, number>> = { full: 65_535, slow: 1_024, stopped: 65_535 };
const RETRY_MS = 100;

export interface ConnectRequest {
  readonly port: number;
  readonly streams: number;
  readonly pace: Pace;
  /** Subscribe to all Services; a stream is complete when it has that many. 0: don't. */
  readonly services: number;
  /** Subscribe to these names of Endpoints, each of which stands for one resource. */
  readonly endpoints: readonly string[];
  /** Each stream leaves out all but so many of the endpoints, the first and others at random; 0: none. */
  readonly sample: number;
  /** Say what is held already, as `learn` found it, and wait only until the server has accepted all. */
  readonly resume: boolean;
}

export interface ConnectReport {
  readonly seconds: number;
}

/** Since the last connect. */
export interface Received {
  readonly resources: number;
  readonly resourceBytes: number;
  /** Why streams were ended by the server before they had everything; each was opened anew. */
  readonly refusals: readonly string[];
  /** Streams that the server ended although they had everything. */
  readonly lost: number;
}

let received = nothingReceived();
let versions: Record<string, Record<string, string>> = {};
let group: StreamGroup | undefined;

interface StreamState {
  readonly plan: StreamPlan;
  services: number;
  endpoints: number;
  complete: boolean;
}

/** Streams of one plan, or of as many as there are samples. */
class StreamGroup {
  readonly #request: ConnectRequest;
  readonly #plans: readonly StreamPlan[];
  readonly #started: bigint;
  readonly #streams = new Map<DeltaStream, StreamState>();
  #incomplete: number;
  #finish: (report: ConnectReport) => void = () => {};
  #marker = Buffer.alloc(0);
  #waitingForMarker = new Set<DeltaStream>();
  #landed: (at: bigint) => void = () => {};
  readonly connected: Promise<ConnectReport>;

  constructor(request: ConnectRequest) {
    this.#request = request;
    this.#plans = plansOf(request);
    this.#started = process.hrtime.bigint();
    this.#incomplete = request.streams;
    this.connected = new Promise((resolve) => (this.#finish = resolve));
    for (let i = 0; i < request.streams; i += 1) this.#open(this.#plans[i % this.#plans.length]!);
  }

  /** Resolves with the time at which the last stream has received the marker. */
  arm(marker: string): Promise<bigint> {
    this.#marker = Buffer.from(marker);
    this.#waitingForMarker = new Set(this.#streams.keys());
    return new Promise((resolve) => (this.#landed = resolve));
  }

  close(): void {
    for (const stream of this.#streams.keys()) stream.close();
    this.#streams.clear();
  }

  #open(plan: StreamPlan): void {
    const stream = new DeltaStream(plan, this);
    this.#streams.set(stream, { plan, services: 0, endpoints: 0, complete: false });
  }

  onAccepted(): void {
    if (this.#request.resume) this.#complete();
  }

  onResponse(stream: DeltaStream, response: DeltaResponse): void {
    received.resources += response.resources;
    received.resourceBytes += response.resourceBytes;
    const state = this.#streams.get(stream)!;
    if (!state.complete) {
      if (response.typeUrl === SERVICE_TYPE_URL) state.services += response.resources;
      else state.endpoints += response.resources;
      const { services, endpoints, sample, pace, resume } = this.#request;
      state.complete = state.services >= services && state.endpoints >= (sample || endpoints.length);
      if (state.complete && !resume) this.#complete();
      if (state.complete && pace === 'stopped') stream.stop();
    }
    if (this.#waitingForMarker.has(stream)) this.#look(stream, response);
  }

  onEnded(stream: DeltaStream, reason: string): void {
    const { plan, complete } = this.#streams.get(stream)!;
    this.#streams.delete(stream);
    if (complete) {
      received.lost += 1;
      if (this.#waitingForMarker.has(stream)) this.#found(stream);
      return;
    }
    received.refusals.push(reason);
    setTimeout(() => this.#open(plan), RETRY_MS);
  }

  #look(stream: DeltaStream, { bytes, start, end }: DeltaResponse): void {
    if (bytes.subarray(start, end).includes(this.#marker)) this.#found(stream);
  }

  #found(stream: DeltaStream): void {
    this.#waitingForMarker.delete(stream);
    if (this.#waitingForMarker.size > 0) return;
    this.#landed(process.hrtime.bigint());
  }

  #complete(): void {
    this.#incomplete -= 1;
    if (this.#incomplete > 0) return;
    this.#finish({ seconds: Number(process.hrtime.bigint() - this.#started) / 1e9 });
  }
}

function nothingReceived() {
  return { resources: 0, resourceBytes: 0, refusals: [] as string[], lost: 0 };
}

/** One plan for all streams, or one for each where they sample the endpoints. */
function plansOf(request: ConnectRequest): readonly StreamPlan[] {
  const { streams, endpoints, sample } = request;
  if (sample === 0) return [planOf(request)];
  const [first = '', ...others] = endpoints;
  return Array.from({ length: streams }, () =>
    planOf({ ...request, endpoints: [first, ...chosen(others, sample - 1)] }),
  );
}

/** Fisher and Yates's shuffle, as far as it is needed. */
function chosen(names: readonly string[], count: number): string[] {
  const shuffled = [...names];
  for (let at = 0; at < count; at += 1) {
    const other = at + Math.floor(Math.random() * (shuffled.length - at));
    [shuffled[at], shuffled[other]] = [shuffled[other]!, shuffled[at]!];
  }
  return shuffled.slice(0, count);
}

function planOf({ port, pace, services, endpoints, resume }: ConnectRequest): StreamPlan {
  const subscribe = (typeUrl: string, names: readonly string[]) =>
    dataFrames(subscribeRequest(typeUrl, names, resume ? versionsOf(typeUrl, names) : {}));
  const window = WINDOW[pace];
  return {
    port,
    pace,
    window,
    opening: openCall(DELTA_ADS, window),
    requests: [
      ...(services > 0 ? subscribe(SERVICE_TYPE_URL, ['*']) : []),
      ...(endpoints.length === 0 ? [] : subscribe(ENDPOINTS_TYPE_URL, endpoints)),
    ],
  };
}

/** The versions, as far as they are known, of what these names, collections or the wildcard stand for. */
function versionsOf(typeUrl: string, names: readonly string[]): Record<string, string> {
  const wanted = new Set(names);
  const isWanted = (name: string): boolean =>
    wanted.has('*') || wanted.has(name) || wanted.has(name.replace(/[^/]*$/, '*'));
  const known = Object.entries(versions[typeUrl] ?? {});
  return Object.fromEntries(known.filter(([name]) => isWanted(name)));
}

/** Remembers the version of everything that one stream is given. */
async function learn(request: ConnectRequest): Promise<void> {
  versions = {};
  let missing = request.services + request.endpoints.length;
  await new Promise<void>((resolve, reject) => {
    const stream = new DeltaStream(planOf(request), {
      onAccepted: () => {},
      onEnded: (_, reason) => reject(new Error(reason)),
      onResponse: (_, { typeUrl, bytes, start, end }) => {
        const { resources } = fromBinary(DeltaDiscoveryResponseSchema, bytes.subarray(start, end));
        const known = (versions[typeUrl] ??= {});
        for (const { name, version } of resources) known[name] = version;
        missing -= resources.length;
        if (missing > 0) return;
        stream.close();
        resolve();
      },
    });
  });
}

expectTypes([SERVICE_TYPE_URL, ENDPOINTS_TYPE_URL]);
let landed: Promise<bigint> | undefined;

answerCommands({
  learn,
  connect: (request: ConnectRequest) => {
    received = nothingReceived();
    group = new StreamGroup(request);
    return group.connected;
  },
  arm: ({ marker }: { marker: string }) => {
    landed = group!.arm(marker);
  },
  landed: async () => ({ at: String(await landed) }),
  received: (): Received => received,
  usage,
  disconnect: () => group?.close(),
});
