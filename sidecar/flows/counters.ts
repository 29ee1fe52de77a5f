/** Why a flow ended. */
export type FlowEnding = 'idle' | 'evicted' | 'drained';

/** Why a datagram went nowhere: of those that came from clients, or from endpoints. */
export type Loss = 'no-endpoint' | 'waiting' | 'shortage' | 'send-failed';

/** Records, so that the compiler misses the one that is left out. */
const ENDINGS: Readonly<Record<FlowEnding, number>> = {
  idle: 0,
  evicted: 0,
  drained: 0,
};
const LOSSES: Readonly<Record<Loss, number>> = {
  'no-endpoint': 0,
  waiting: 0,
  shortage: 0,
  'send-failed': 0,
};

/** Plain numbers of one Service: what the hot path may afford. Exposed by `metrics.ts` when scraped. */
export class FlowCounters {
  opened = 0;
  /** Flows that went on with another endpoint. */
  moved = 0;
  /** Endpoints that refused: an ICMP message came back. */
  refused = 0;
  sentDatagrams = 0;
  sentBytes = 0;
  receivedDatagrams = 0;
  receivedBytes = 0;
  readonly closed = { ...ENDINGS };
  readonly dropped = { ...LOSSES };
}
