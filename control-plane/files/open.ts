import type { Registry } from 'prom-client';
import { StartupError } from '../../process/listen.ts';
import type { Logger } from '../../process/log.ts';
import { exposeGauge } from '../../process/metrics.ts';
import type { Listener, Source } from '../source.ts';
import { createFilesSource, type FilesSource } from './source.ts';

/** Rejects with a StartupError where there is no such folder. */
export async function openFiles(directory: string, listener: Listener, logger: Logger): Promise<Source> {
  const source = createFilesSource({ directory, logger, ...listener });
  const started = await source.start();
  if (started.outcome === 'failed') throw new StartupError(started.problem);
  return {
    name: directory,
    obstacles: () => source.remarks(),
    remark: () => remarkOn(source.remarks()),
    outage: () => undefined,
    expose: (registry) => exposeFiles(registry, source),
    close: () => source.close(),
  };
}

/** The first is enough for a sentence; the log has all of them. */
function remarkOn([first, ...others]: readonly string[]): string | undefined {
  if (first === undefined) return undefined;
  const more = others.length === 0 ? '' : `; and ${others.length} more`;
  return `not all files are served as they stand: ${first}${more}`;
}

export function exposeFiles(registry: Registry, source: Pick<FilesSource, 'rejections'>): void {
  exposeGauge(registry, {
    name: 'cortexflow_files_rejections',
    help: 'Files, documents and second copies of objects that cannot be taken; what was there before is served.',
    collect: (add) => add(source.rejections().length),
  });
}
