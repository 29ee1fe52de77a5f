import { type Address, Environment } from '../process/environment.ts';
import { type Level, LEVELS, type LogFormat } from '../process/log.ts';
import { DEFAULT_LIMITS, type Limits } from './xds/limits.ts';

export interface ControlPlaneConfig {
  readonly source: SourceConfig;
  /** xDS for sidecars. */
  readonly xds: Address;
  /** Inspection without credentials: reflection, health, CSDS, read-only xDS. */
  readonly inspection: Address;
  /** /healthz /readyz /metrics. */
  readonly admin: Address;
  readonly log: { readonly level: Level; readonly format: LogFormat | 'auto' };
  readonly push: {
    /** Changes that follow one another closer than this go out together. */
    readonly windowMs: number;
    /** However many follow one another, none waits longer than this. */
    readonly maxWindowMs: number;
  };
  /** How long streams live, how many are admitted, and what they may make this process hold. */
  readonly streams: Pick<Limits, 'streamAgeMs' | StreamSetting>;
  /** Connections to the xDS port, in all and from one address. */
  readonly connections: { readonly total: number; readonly perAddress: number };
  /** How long an orderly end may take, and how long of it streams are spread over. */
  readonly shutdownMs: number;
  readonly drainMs: number;
}

/** Where the objects of the mesh come from. */
export type SourceConfig =
  /** A folder of Kubernetes YAML. */
  | { readonly from: 'files'; readonly directory: string }
  /** The API server of the cluster that this runs in, or that KUBECONFIG names. */
  | { readonly from: 'kubernetes'; readonly serviceAccountDirectory: string };

export type ConfigResult = { readonly config: ControlPlaneConfig } | { readonly problems: readonly string[] };

/** Reads the whole configuration from environment variables; `lookup` answers undefined where one is unset. */
export function readConfig(lookup: (name: string) => string | undefined): ConfigResult {
  const environment = new Environment(lookup);
  const config: ControlPlaneConfig = {
    source: readSource(environment),
    xds: environment.address('CORTEXFLOW_XDS_ADDRESS', '127.0.0.1:18000'),
    inspection: environment.address('CORTEXFLOW_INSPECTION_ADDRESS', '127.0.0.1:18001'),
    admin: environment.address('CORTEXFLOW_ADMIN_ADDRESS', '127.0.0.1:18080'),
    log: {
      level: environment.choice('CORTEXFLOW_LOG_LEVEL', LEVELS, 'info'),
      format: environment.choice('CORTEXFLOW_LOG_FORMAT', ['auto', 'json', 'text'], 'auto'),
    },
    push: readPush(environment),
    streams: readStreams(environment),
    connections: readConnections(environment),
    shutdownMs: environment.integer('CORTEXFLOW_SHUTDOWN_MS', { min: 0, max: 3_600_000 }, 15_000),
    drainMs: environment.integer('CORTEXFLOW_DRAIN_MS', { min: 0, max: 3_600_000 }, 2_000),
  };
  return environment.problems.length > 0 ? { problems: environment.problems } : { config };
}

function readSource(environment: Environment): SourceConfig {
  const from = environment.choice('CORTEXFLOW_SOURCE', ['files', 'kubernetes'], 'files');
  const directory = environment.string('CORTEXFLOW_DIRECTORY', '');
  if (from === 'files') {
    if (!directory) environment.problems.push(NO_DIRECTORY);
    return { from, directory };
  }
  if (directory) {
    environment.problems.push(
      `CORTEXFLOW_DIRECTORY is "${directory}" where CORTEXFLOW_SOURCE is kubernetes: leave out one of the two`,
    );
  }
  const serviceAccountDirectory = environment.string(
    'CORTEXFLOW_SERVICE_ACCOUNT_DIRECTORY',
    '/var/run/secrets/kubernetes.io/serviceaccount',
  );
  return { from, serviceAccountDirectory };
}

const NO_DIRECTORY =
  'CORTEXFLOW_DIRECTORY is not set: name the folder of Kubernetes YAML to serve, or set CORTEXFLOW_SOURCE to kubernetes';

function readPush(environment: Environment): ControlPlaneConfig['push'] {
  const range = { min: 0, max: 60_000 };
  const windowMs = environment.integer('CORTEXFLOW_PUSH_WINDOW_MS', range, 20);
  const maxWindowMs = environment.integer('CORTEXFLOW_PUSH_MAX_WINDOW_MS', range, 200);
  if (maxWindowMs < windowMs) {
    environment.problems.push(
      `CORTEXFLOW_PUSH_MAX_WINDOW_MS is "${maxWindowMs}": use at least CORTEXFLOW_PUSH_WINDOW_MS, ${windowMs}`,
    );
  }
  return { windowMs, maxWindowMs };
}

/** Limits that are set by a variable of the same meaning. */
type StreamSetting = keyof typeof STREAM_SETTINGS;

const COUNT = { min: 1, max: 1_000_000 };
const BYTES = { min: 1 << 20, max: 2 ** 40 };

const STREAM_SETTINGS = {
  newStreamsPerSecond: ['CORTEXFLOW_NEW_STREAMS_PER_SECOND', { min: 1, max: 100_000 }],
  newStreamsBurst: ['CORTEXFLOW_NEW_STREAMS_BURST', COUNT],
  newStreamsPerSecondPerCaller: ['CORTEXFLOW_NEW_STREAMS_PER_SECOND_PER_CALLER', { min: 1, max: 100_000 }],
  newStreamsBurstPerCaller: ['CORTEXFLOW_NEW_STREAMS_BURST_PER_CALLER', COUNT],
  streams: ['CORTEXFLOW_MAX_STREAMS', COUNT],
  streamsPerCaller: ['CORTEXFLOW_MAX_STREAMS_PER_CALLER', COUNT],
  heldBytes: ['CORTEXFLOW_HELD_BYTES', BYTES],
  heldBytesPerCaller: ['CORTEXFLOW_HELD_BYTES_PER_CALLER', BYTES],
  unsentBytes: ['CORTEXFLOW_UNSENT_BYTES', BYTES],
  unsentBytesPerCaller: ['CORTEXFLOW_UNSENT_BYTES_PER_CALLER', BYTES],
} as const satisfies Partial<Record<keyof Limits, readonly [string, { min: number; max: number }]>>;

function readStreams(environment: Environment): ControlPlaneConfig['streams'] {
  const read = (limit: StreamSetting): number => {
    const [name, range] = STREAM_SETTINGS[limit];
    return environment.integer(name, range, DEFAULT_LIMITS[limit]);
  };
  const settings = Object.keys(STREAM_SETTINGS) as StreamSetting[];
  return {
    streamAgeMs: environment.integer(
      'CORTEXFLOW_STREAM_MAX_AGE_MS',
      { min: 1_000, max: 604_800_000 },
      DEFAULT_LIMITS.streamAgeMs,
    ),
    ...(Object.fromEntries(settings.map((limit) => [limit, read(limit)])) as Record<StreamSetting, number>),
  };
}

function readConnections(environment: Environment): ControlPlaneConfig['connections'] {
  return {
    total: environment.integer('CORTEXFLOW_MAX_CONNECTIONS', COUNT, 10_000),
    perAddress: environment.integer('CORTEXFLOW_MAX_CONNECTIONS_PER_ADDRESS', COUNT, 2_200),
  };
}
