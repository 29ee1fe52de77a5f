import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collectionOfService, sliceOfService } from './mesh.ts';
import { Peer } from './process-pair.ts';

/** A server under measurement. */
export interface Contestant {
  readonly name: string;
  start(): Peer;
  /** The name by which the Endpoints of the `n`th Service are subscribed to: only ours has collections. */
  readonly endpointsOf: (n: number) => string;
}

/** Undefined, said on standard error, where it can't take part. `profile`: where ours leaves its CPU profiles. */
export function contestant(name: string, profile: string | undefined): Contestant | undefined {
  switch (name) {
    case 'cortexflow': {
      const flags = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
      const start = () => Peer.startNode(script('cortexflow.ts'), ...flags);
      return { name, start, endpointsOf: collectionOfService };
    }
    case 'floor':
      return { name, start: () => Peer.startNode(script('floor.ts')), endpointsOf: sliceOfService };
    case 'go-control-plane': {
      const binary = buildGoControlPlane();
      if (binary === undefined) return undefined;
      return { name, start: () => Peer.start(binary), endpointsOf: sliceOfService };
    }
    default:
      throw new Error(`${name} is no server of this bench: cortexflow, floor and go-control-plane are`);
  }
}

function buildGoControlPlane(): string | undefined {
  const binary = join(mkdtempSync(join(tmpdir(), 'cortexflow-bench-')), 'go-control-plane');
  try {
    const cwd = script('peers/go-control-plane');
    execFileSync('go', ['build', '-o', binary, '.'], { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
    return binary;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.error(`go-control-plane is left out (it needs Go, and once its modules): ${reason}`);
    return undefined;
  }
}

function script(file: string): string {
  return join(import.meta.dirname, file);
}
