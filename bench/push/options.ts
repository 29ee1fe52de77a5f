import { parseArgs } from 'node:util';
import type { MeshSize } from './mesh.ts';

export interface Options {
  readonly streams: number;
  readonly size: MeshSize;
  readonly changes: number;
  /** Between a change that all have and the next one, in milliseconds. */
  readonly pause: number;
  readonly runs: number;
  /** Names of the servers to compare, in the order of the table. */
  readonly servers: readonly string[];
  /** Processes that share the streams. */
  readonly loads: number;
  /** Measure streams that each name so many collections of twice as many Services instead; 0: don't. */
  readonly names: number;
  /** Where our server writes a CPU profile, if anywhere. */
  readonly profile: string | undefined;
}

export const USAGE = `npm run bench:push -- [flags]
  Needs nothing but this repository, and about a minute a run and server; go-control-plane takes part where
  Go is installed. Nothing else should run on the machine.
  --streams 1000  --services 1000  --endpoints 10 (per Service)  --changes 200 (per phase)
  --pause 50 (ms between changes)  --runs 3  --loads 1 (load processes)
  --names N (streams that each name N collections, or resources where a server has none, instead of the above)
  --servers cortexflow,floor,go-control-plane   --profile DIR (a .cpuprofile of our server)`;

/** Undefined: only the usage was asked for. Throws a sentence for each flag that can't be used. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      streams: { type: 'string', default: '1000' },
      services: { type: 'string', default: '1000' },
      endpoints: { type: 'string', default: '10' },
      changes: { type: 'string', default: '200' },
      pause: { type: 'string', default: '50' },
      runs: { type: 'string', default: '3' },
      loads: { type: 'string', default: '1' },
      servers: { type: 'string', default: 'cortexflow,floor,go-control-plane' },
      names: { type: 'string' },
      profile: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) return undefined;
  const names = values.names === undefined ? 0 : positive(values.names);
  const services = names > 0 ? 2 * names : positive(values.services);
  return {
    streams: positive(values.streams),
    size: { services, endpointsPerService: positive(values.endpoints) },
    changes: positive(values.changes),
    pause: positive(values.pause),
    runs: positive(values.runs),
    loads: positive(values.loads),
    servers: values.servers.split(','),
    names,
    profile: values.profile,
  };
}

function positive(value: string): number {
  if (!/^[1-9]\d*$/.test(value)) throw new Error(`${value} is no positive number\n${USAGE}`);
  return Number(value);
}
