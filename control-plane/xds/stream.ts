import { status } from '@grpc/grpc-js';
import type { Logger } from '../../process/log.ts';
import type { Caller, RawCall } from './caller.ts';
import { overLimit } from './limits.ts';
import type { CountedLimit, Limits } from './limits.ts';
import { keptNode, nodeOf } from './node.ts';
import type { Node } from '../../gen/envoy/config/core/v3/base_pb.ts';
import type { References } from './references.ts';
import { OverLimit } from './request.ts';
import type { DeltaRequest, Request, SotwRequest } from './request.ts';
import type { Protocol } from './response.ts';
import { StreamLog } from './stream-log.ts';
import type { Content } from './target.ts';
import type { TypeServer } from './type-server.ts';
import { StreamSessions } from './stream-sessions.ts';
import { TypeSession } from './type-session.ts';

/** It goes into messages and logs. */
const LONGEST_TYPE_URL = 512;

/** What a stream needs of the engine that it belongs to. */
export interface StreamHost {
  readonly limits: Limits;
  readonly logger: Logger;
  readonly now: () => number;
  /** Where a type stands in the order in which changes of several are told. */
  readonly rank: (typeUrl: string) => number;
  /** Throws where the bytes are no request. */
  readonly read: (bytes: Buffer, protocol: Protocol) => DeltaRequest | SotwRequest;
  /** While this is so, clients are sent no removals: what the snapshot lacks may exist. */
  readonly isPartial: () => boolean;
  readonly serverOf: (typeUrl: string, protocol: Protocol) => TypeServer;
  readonly references: References;
  readonly behind: (streams: 1 | -1) => void;
  readonly refused: () => void;
  /** So many resources were sent that are larger than clients can be expected to receive. */
  readonly oversized: (resources: number) => void;
  readonly ended: (stream: XdsStream) => void;
}

export interface StreamKind {
  readonly protocol: Protocol;
  /** The one type it carries; undefined: any. */
  readonly typeUrl: string | undefined;
}

/**
 * One client's stream. It keeps no queue: what it is sent next is computed when it can be written, from what it
 * was sent last and what is current then. So a slow reader gets fewer, merged responses, and holds up nobody.
 */
export class XdsStream {
  readonly caller: Caller;
  readonly openedAt: number;
  readonly #call: RawCall;
  readonly #kind: StreamKind;
  readonly #host: StreamHost;
  readonly #log: StreamLog;
  readonly #sessions: StreamSessions;
  #node: Buffer | undefined;
  #state: 'open' | 'half-closed' | 'ended' = 'open';
  #behind = false;
  #writes = 0;
  #claims = 0;

  constructor(call: RawCall, caller: Caller, kind: StreamKind, host: StreamHost) {
    this.#call = call;
    this.caller = caller;
    this.#kind = kind;
    this.#host = host;
    this.#sessions = new StreamSessions(host.rank, host.references);
    this.#log = new StreamLog(host.logger, host.now);
    this.openedAt = host.now();
    call.on('data', (bytes: Buffer) => this.#guarded(() => this.#receive(bytes)));
    call.on('end', () => this.#guarded(() => this.#halfClose()));
    call.on('cancelled', () => this.#leave());
  }

  get sessions(): readonly TypeSession[] {
    return this.#sessions.all;
  }

  get protocol(): Protocol {
    return this.#kind.protocol;
  }

  /** What the client says of itself: to be displayed, never to be believed. */
  get node(): Node | undefined {
    return nodeOf(this.#node);
  }

  /** Length of the node, serialised. */
  get nodeBytes(): number {
    return this.#node?.length ?? 0;
  }

  /** Brings the stream nearer to what is current, in as far as the connection takes it. */
  advance(): void {
    this.#guarded(() => this.#pump());
  }

  /** Writes what is due, if the connection took all before; else it is looked at again when it has. */
  #pump(): void {
    if (this.#state === 'ended') return;
    if (this.#writes > 0) {
      this.#setBehind(true);
      return;
    }
    let room = this.#host.limits.responseBytes;
    while (room > 0) {
      const next = this.#sessions.next(this.#host.isPartial());
      if (next === undefined) {
        this.#setBehind(false);
        if (this.#state === 'half-closed' && this.#writes === 0) this.#finish();
        return;
      }
      room -= this.#write(next.session, next.content);
    }
    this.#setBehind(true);
  }

  /** Ends the stream with a gRPC status. What was written before still arrives. */
  end(code: status, details: string): void {
    if (this.#state === 'ended') return;
    this.#leave();
    this.#call.pause();
    this.#call.emit('error', Object.assign(new Error(details), { code, details }));
  }

  #receive(bytes: Buffer): void {
    if (this.#state !== 'open') return;
    let request: DeltaRequest | SotwRequest;
    try {
      request = this.#host.read(bytes, this.protocol);
    } catch (cause) {
      if (cause instanceof OverLimit) {
        this.#isWithin(cause.limit, cause.value);
        return;
      }
      const message = cause instanceof Error ? cause.message : String(cause);
      this.#refuse(status.INVALID_ARGUMENT, `This is no discovery request: ${message}`);
      return;
    }
    if (this.#introduce(request)) this.#apply(request);
  }

  /** Only the first request has to say which node it comes from; a later one may repeat it. */
  #introduce({ node }: Request): boolean {
    if (this.#node !== undefined || node === undefined) return true;
    if (node.length > this.#host.limits.nodeBytes) {
      return this.#refuse(
        status.RESOURCE_EXHAUSTED,
        `The node takes ${node.length} bytes, and no more than ${this.#host.limits.nodeBytes} are allowed: send less metadata.`,
      );
    }
    this.#node = keptNode(node);
    return true;
  }

  #apply(request: DeltaRequest | SotwRequest): void {
    const typeUrl = request.typeUrl || this.#kind.typeUrl;
    if (typeUrl === undefined) {
      this.#refuse(status.INVALID_ARGUMENT, 'type_url is empty: an aggregated stream has to name the type.');
    } else if (typeUrl.length > LONGEST_TYPE_URL) {
      this.#refuse(status.INVALID_ARGUMENT, `type_url is longer than ${LONGEST_TYPE_URL} characters.`);
    } else if (this.#kind.typeUrl !== undefined && typeUrl !== this.#kind.typeUrl) {
      this.#refuse(
        status.INVALID_ARGUMENT,
        `This service serves ${this.#kind.typeUrl} and not ${typeUrl}: use the aggregated one for any type.`,
      );
    } else {
      const session = this.#sessions.find(typeUrl);
      if (session === undefined) this.#begin(typeUrl, request);
      else this.#change(session, request);
    }
  }

  #begin(typeUrl: string, request: DeltaRequest | SotwRequest): void {
    if ('claims' in request) this.#claims += request.claims.count;
    if (!this.#isWithin('claims', this.#claims)) return;
    this.#sessions.add(new TypeSession(this.#host.serverOf(typeUrl, this.protocol), request));
    if (this.#isWithinLimits()) this.#pump();
  }

  #change(session: TypeSession, request: DeltaRequest | SotwRequest): void {
    const { nonce, error } = request;
    if (error !== undefined && session.awaits(nonce)) {
      const rejection = { type: session.typeUrl, nonce, reason: error.message };
      this.#log.rejected(() => this.#who(), rejection);
    }
    if (session.receive(request, this.#host.now()) && this.#isWithinLimits()) this.#pump();
  }

  #isWithinLimits(): boolean {
    let names = 0;
    let bytes = 0;
    for (const { subscription } of this.#sessions.all) {
      names += subscription.names.size;
      bytes += subscription.nameLength;
    }
    return (
      this.#isWithin('types', this.#sessions.all.length) &&
      this.#isWithin('subscriptions', names) &&
      this.#isWithin('subscriptionBytes', bytes)
    );
  }

  #isWithin(limit: CountedLimit, value: number): boolean {
    const allowed = this.#host.limits[limit];
    if (value <= allowed) return true;
    return this.#refuse(status.RESOURCE_EXHAUSTED, overLimit(limit, value, allowed));
  }

  #write(session: TypeSession, content: Content): number {
    const { bytes } = session.send(content, this.#host.now());
    this.#sessions.sent(session);
    const { clientReceiveBytes } = this.#host.limits;
    if (bytes.length > clientReceiveBytes) {
      this.#host.oversized(
        content.upserts.filter(({ deltaEntry }) => deltaEntry.length > clientReceiveBytes).length,
      );
      this.#log.oversized(session.typeUrl, content, bytes.length);
    }
    this.#writes += 1;
    this.#call.write(bytes, this.#written);
    return bytes.length;
  }

  /** The connection took one response. */
  readonly #written = (): void => {
    this.#writes -= 1;
    if (this.#writes === 0 && (this.#behind || this.#state === 'half-closed')) this.advance();
  };

  /** A mistake of ours costs one stream, and not the process that serves the others. */
  #guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#host.logger.error('a stream failed', { ...this.#who(), error });
      this.end(status.INTERNAL, 'The control plane failed to serve this stream: open another one.');
    }
  }

  #setBehind(behind: boolean): void {
    if (behind === this.#behind) return;
    this.#behind = behind;
    this.#host.behind(behind ? 1 : -1);
  }

  /** The client will ask for nothing more: it still gets what it asked for. */
  #halfClose(): void {
    if (this.#state !== 'open') return;
    this.#state = 'half-closed';
    this.#pump();
  }

  #finish(): void {
    this.#leave();
    this.#call.end();
  }

  #leave(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#setBehind(false);
    this.#host.ended(this);
  }

  #refuse(code: status, details: string): false {
    this.#host.refused();
    this.#host.logger.warn('refused a request, the stream ends', { ...this.#who(), details });
    this.end(code, details);
    return false;
  }

  #who(): Record<string, unknown> {
    return { node: this.node?.id ?? '', caller: this.caller.name };
  }
}
