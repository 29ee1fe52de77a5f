import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { endpointsCollection } from '../../wire/resource-kinds.ts';
import type { Contestant, RunResult } from './measure.ts';
import { measureOnce } from './measure.ts';
import { CHANGING_SERVICE, CHANGING_SLICE, meshContent } from './mesh.ts';
import type { Options } from './options.ts';
import { parseOptions } from './options.ts';
import { Peer } from './process-pair.ts';
import { report } from './report.ts';

// What a change costs and how long it takes until every stream has it, side by side with two others: the
// least that grpc-js can do (the floor) and go-control-plane's linear cache. Needs nothing but this
// repository; go-control-plane takes part where `go` is on the PATH.

const options = parseOptions(process.argv.slice(2));
const contestants = options.servers
  .map((name) => contestant(name, options))
  .filter((one) => one !== undefined);
const content = meshContent(options.size);
const results = new Map<string, RunResult[]>(contestants.map(({ name }) => [name, []]));

for (let run = 1; run <= options.runs; run += 1) {
  for (const one of contestants) {
    console.error(`run ${run} of ${options.runs}: ${one.name}`);
    results.get(one.name)!.push(await measureOnce(one, content, options));
  }
}

console.log(
  report(results, options, `${availableParallelism()} × ${cpus()[0]?.model}, Node ${process.version}`),
);

function contestant(name: string, { profile }: Options): Contestant | undefined {
  switch (name) {
    case 'cortexflow': {
      const flags = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
      const start = () => Peer.startNode(script('cortexflow.ts'), ...flags);
      return { name, start, endpointsSubscription: endpointsCollection(CHANGING_SERVICE) };
    }
    case 'floor': {
      const start = () => Peer.startNode(script('floor.ts'));
      return { name, start, endpointsSubscription: CHANGING_SLICE };
    }
    case 'go-control-plane': {
      const binary = buildGoControlPlane();
      if (binary === undefined) return undefined;
      return { name, start: () => Peer.start(binary), endpointsSubscription: CHANGING_SLICE };
    }
    default:
      throw new Error(`no such server: ${name}`);
  }
}

function buildGoControlPlane(): string | undefined {
  const source = join(import.meta.dirname, 'peers/go-control-plane');
  const directory = join(tmpdir(), 'cortexflow-bench');
  mkdirSync(directory, { recursive: true });
  const binary = join(directory, 'go-control-plane');
  try {
    execFileSync('go', ['build', '-o', binary, '.'], {
      cwd: source,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  } catch (error) {
    console.error(
      `go-control-plane is left out: ${(error as Error).message} (it needs Go, and its modules once)`,
    );
    return undefined;
  }
  return existsSync(binary) ? binary : undefined;
}

function script(file: string): string {
  return join(import.meta.dirname, file);
}
