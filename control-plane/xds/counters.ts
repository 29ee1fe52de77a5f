/** What happened so far, as plain numbers; whoever exposes them reads them when asked. */
export interface Counters {
  /** Streams that are open, and those among them that have something to be written and cannot take it. */
  streams: number;
  streamsBehind: number;
  streamsOpened: number;
  /** Streams refused: too many new ones, in all and of one caller; too many open ones, likewise. */
  admissionsRefused: number;
  callerAdmissionsRefused: number;
  streamsRefused: number;
  callerStreamsRefused: number;
  identitiesRefused: number;
  /** Streams ended for a request, and those of them that were ended because too many bytes are held. */
  requestsRefused: number;
  callerBytesRefused: number;
  processBytesRefused: number;
  /** Streams ended because they took nothing while others of the same caller waited. */
  stalledStreams: number;
  /** Resources that were sent and are larger than clients can be expected to receive. */
  oversizedResources: number;
  readonly types: Map<string, TypeCounters>;
}

export interface TypeCounters {
  pushes: number;
  pushedBytes: number;
  acks: number;
  nacks: number;
}

export function createCounters(): Counters {
  return {
    streams: 0,
    streamsBehind: 0,
    streamsOpened: 0,
    admissionsRefused: 0,
    callerAdmissionsRefused: 0,
    streamsRefused: 0,
    callerStreamsRefused: 0,
    identitiesRefused: 0,
    requestsRefused: 0,
    callerBytesRefused: 0,
    processBytesRefused: 0,
    stalledStreams: 0,
    oversizedResources: 0,
    types: new Map(),
  };
}

export function createTypeCounters(): TypeCounters {
  return { pushes: 0, pushedBytes: 0, acks: 0, nacks: 0 };
}
