import { availableParallelism, cpus } from 'node:os';
import { contestant } from './contestants.ts';
import type { Contestant } from './contestants.ts';
import { measureOnce } from './measure.ts';
import { meshContent } from './mesh.ts';
import type { MeshContent } from './mesh.ts';
import type { Options } from './options.ts';
import { parseOptions, USAGE } from './options.ts';
import { measureNamed } from './named.ts';
import { reportNamed, reportPush } from './report.ts';

// What a change costs, and how long it takes until every stream has it, side by side with two others: the
// least that grpc-js can do (the floor) and go-control-plane's linear cache.

const options = parseOptions(process.argv.slice(2));
console.log(options === undefined ? USAGE : await compare(options));

async function compare(chosen: Options): Promise<string> {
  const machine = `${availableParallelism()} × ${cpus()[0]?.model}, Node ${process.version}`;
  if (chosen.names === 0) return reportPush(await measured(chosen, measureOnce), chosen, machine);
  // The floor knows one name only.
  const servers = chosen.servers.filter((name) => name !== 'floor');
  return reportNamed(await measured({ ...chosen, servers }, measureNamed), chosen, machine);
}

async function measured<Result>(
  chosen: Options,
  measure: (one: Contestant, content: MeshContent, options: Options) => Promise<Result>,
): Promise<ReadonlyMap<string, readonly Result[]>> {
  const contestants = chosen.servers
    .map((name) => contestant(name, chosen.profile))
    .filter((one) => one !== undefined);
  const content = meshContent(chosen.size);
  const results = new Map<string, Result[]>(contestants.map(({ name }) => [name, []]));
  for (let run = 1; run <= chosen.runs; run += 1) {
    for (const one of contestants) {
      console.error(`run ${run} of ${chosen.runs}: ${one.name}`);
      results.get(one.name)!.push(await measure(one, content, chosen));
    }
  }
  return results;
}
