import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { ServerOptions } from '@grpc/grpc-js';
import { createXdsEngine } from '../../control-plane/xds/engine.ts';
import type { XdsEngine, XdsEngineOptions } from '../../control-plane/xds/engine.ts';
import { XDS_SERVER_OPTIONS } from '../../control-plane/xds/server-options.ts';
import { AGGREGATED } from '../../control-plane/xds/services.ts';
import { createResource, SnapshotCell, withChanges } from '../../control-plane/xds/snapshot.ts';
import { PER_TYPE } from '../../examples/envoy-kinds.ts';
import type { Fields, Logger } from '../../process/log.ts';

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Fields;
}

/** Keeps what is logged, to be looked at. */
export function recordingLogger(lines: LogLine[]): Logger {
  const at =
    (level: string) =>
    (message: string, fields: Fields = {}) => {
      lines.push({ level, message, fields });
    };
  const logger: Logger = {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    isEnabled: () => true,
    with: () => logger,
  };
  return logger;
}

/** A cell that tests put resources into by name and text. */
export class Resources {
  readonly cell = new SnapshotCell();

  put(typeUrl: string, entries: Readonly<Record<string, string | undefined>>): void {
    this.change({ [typeUrl]: entries });
  }

  /** Changes to several types in one snapshot, by type URL. */
  change(types: Readonly<Record<string, Readonly<Record<string, string | undefined>>>>): void {
    const edits = Object.entries(types).flatMap(([typeUrl, entries]) =>
      Object.entries(entries).map(([name, text]) => ({ typeUrl, name, text })),
    );
    const upserts = edits.flatMap(({ typeUrl, name, text }) =>
      text === undefined ? [] : [createResource(typeUrl, name, Buffer.from(text))],
    );
    const removals = edits.filter(({ text }) => text === undefined);
    this.cell.replace(withChanges(this.cell.current, { upserts, removals }));
  }
}

export interface Serving {
  readonly address: string;
  readonly resources: Resources;
  readonly engine: XdsEngine;
  readonly server: Server;
  readonly log: LogLine[];
  stop(): Promise<void>;
}

/** The real server on a port of its own. */
export async function serve(
  options: Partial<XdsEngineOptions> = {},
  serverOptions: ServerOptions = {},
): Promise<Serving> {
  const resources = new Resources();
  const log: LogLine[] = [];
  const engine = createXdsEngine({ snapshots: resources.cell, logger: recordingLogger(log), ...options });
  const server = new Server({ ...XDS_SERVER_OPTIONS, ...serverOptions });
  engine.addTo(server, [AGGREGATED, ...PER_TYPE]);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return {
    address: `127.0.0.1:${port}`,
    resources,
    engine,
    server,
    log,
    stop: async () => {
      engine.close();
      server.forceShutdown();
    },
  };
}
