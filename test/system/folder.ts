import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';

/** A folder of YAML that is edited the way editors do it: written beside, then renamed over. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), 'cortexflow-mesh-'));
  /** A file beside the folder, for a sidecar's last good state; gone with the test. */
  readonly lastGoodFile = `${this.path}.last-good`;

  constructor(t: ExecutionContext) {
    t.teardown(() => {
      rmSync(this.path, { recursive: true, force: true });
      rmSync(this.lastGoodFile, { force: true });
    });
  }

  write(name: string, text: string): void {
    const beside = join(this.path, `.${name}.new`);
    writeFileSync(beside, text);
    renameSync(beside, join(this.path, name));
  }

  remove(name: string): void {
    rmSync(join(this.path, name), { force: true });
  }
}
