import { status } from '@grpc/grpc-js';
import type { Caller, RawCall } from './caller.ts';
import { readClaimsInSlices } from './claims.ts';
import type { ReadClaims } from './claims.ts';
import { keptNode, nodeOf } from './node.ts';
import type { Node } from '../../gen/envoy/config/core/v3/base_pb.ts';
import { Outbox } from './outbox.ts';
import type { DeltaRequest, Request, SotwRequest } from './request.ts';
import type { Protocol } from './response.ts';
import type { Work } from './slices.ts';
import { StreamCosts } from './stream-costs.ts';
import { refusalOf, typeProblem } from './stream-host.ts';
import type { StreamHost, StreamKind } from './stream-host.ts';
import type { Content } from './target.ts';
import { StreamLog } from './stream-log.ts';
import { StreamSessions } from './stream-sessions.ts';
import { TypeSession } from './type-session.ts';

/** Requests above this many bytes are read in slices. */
const LONG_REQUEST = 16 << 10;

/**
 * One client's stream. It keeps no queue: what it is sent next is computed when it can be written, from what it
 * was sent last and what is current then. So a slow reader gets fewer, merged responses, and holds up nobody.
 */
export class XdsStream {
  readonly caller: Caller;
  /** Under what the limits of its caller are kept. */
  readonly account: string;
  readonly openedAt: number;
  readonly #call: RawCall;
  readonly #kind: StreamKind;
  readonly #host: StreamHost<XdsStream>;
  readonly #log: StreamLog;
  readonly #costs: StreamCosts;
  readonly #outbox: Outbox;
  readonly #sessions: StreamSessions;
  #node: Buffer | undefined;
  #state: 'open' | 'half-closed' | 'ended' = 'open';
  #behind = false;
  #isReading = false;

  constructor(
    call: RawCall,
    { caller, account }: { readonly caller: Caller; readonly account: string },
    kind: StreamKind,
    host: StreamHost<XdsStream>,
  ) {
    this.#call = call;
    this.caller = caller;
    this.account = account;
    this.#kind = kind;
    this.#host = host;
    this.#sessions = new StreamSessions(host.rank, host.references);
    this.#log = new StreamLog(host.logger, host.now);
    this.#costs = new StreamCosts(host, account);
    this.#outbox = new Outbox(call, host, account);
    this.openedAt = host.now();
    call.on('data', (bytes: Buffer) => this.#guarded(() => this.#receive(bytes)));
    call.on('end', () => this.#guarded(() => this.#halfClose()));
    call.on('cancelled', () => this.#leave());
  }

  get sessions(): readonly TypeSession[] {
    return this.#sessions.all;
  }

  /** Has no request come yet that was read? */
  get awaitsFirstRequest(): boolean {
    return this.#sessions.all.length === 0 && !this.#isReading;
  }

  get protocol(): Protocol {
    return this.#kind.protocol;
  }

  /** What the client says of itself: to be displayed, never to be believed. */
  get node(): Node | undefined {
    return nodeOf(this.#node);
  }

  get stalledSince(): number | undefined {
    return this.#outbox.stalledSince;
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
    if (!this.#outbox.isEmpty) {
      this.#setBehind(true);
      return;
    }
    let room = this.#host.limits.responseBytes;
    while (room > 0) {
      if (!this.#sessions.isLevel() && !this.#outbox.hasRoom(this)) break;
      const next = this.#sessions.next(this.#host.isPartial());
      if (next === undefined) {
        this.#setBehind(false);
        if (this.#state !== 'half-closed' || !this.#outbox.isEmpty) return;
        this.#leave();
        this.#call.end();
        return;
      }
      room -= this.#write(next);
      if (this.#isOver()) return;
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
    if (bytes.length <= LONG_REQUEST) {
      const request = this.#parse(bytes);
      if (request !== undefined) this.#apply(request);
    } else if (this.#allows(this.#costs.hold('request', bytes.length))) {
      // The next request waits in the connection, so that they stay in order.
      this.#call.pause();
      this.#isReading = true;
      this.#host.slices.add(this.#read(bytes));
    }
  }

  *#read(bytes: Buffer): Work {
    try {
      yield* this.#readLong(bytes);
    } catch (error) {
      this.#fail(error);
    }
    this.#isReading = false;
    if (this.#isOver()) return;
    this.#costs.hold('request', 0);
    this.#call.resume();
  }

  /** Reads a long request step by step; the stream may end between two of them. */
  *#readLong(bytes: Buffer): Work {
    const request = this.#state === 'open' ? this.#parse(bytes) : undefined;
    if (request === undefined) return;
    if (!('claims' in request)) {
      this.#guarded(() => this.#apply(request));
      return;
    }
    yield;
    if (this.#isOver()) return;
    const typeUrl = this.#typeOf(request);
    const { target } = this.#host.serverOf(typeUrl, this.protocol);
    // Only the first request for a type has claims that count.
    const isFirst = this.#sessions.find(typeUrl) === undefined;
    const time = { hasTime: this.#host.slices.hasTime, isOver: this.#isOver };
    const claims = isFirst ? yield* readClaimsInSlices(request, target, time) : undefined;
    if (!this.#isOver()) this.#guarded(() => this.#apply(request, claims));
  }

  /** Undefined: it was refused, and the stream ended. */
  #parse(bytes: Buffer): DeltaRequest | SotwRequest | undefined {
    try {
      const request = this.#host.read(bytes, this.protocol);
      const problem = typeProblem(this.#typeOf(request), this.#kind);
      if (problem !== undefined) this.#refuse(status.INVALID_ARGUMENT, problem);
      return problem === undefined && this.#introduce(request) ? request : undefined;
    } catch (cause) {
      const { code, details } = refusalOf(cause, this.#host.limits);
      this.#refuse(code, details);
      return undefined;
    }
  }

  /** Only the first request has to say which node it comes from; a later one may repeat it. */
  #introduce({ node }: Request): boolean {
    if (this.#node !== undefined || node === undefined) return true;
    if (!this.#allows(this.#costs.within('nodeBytes', node.length))) return false;
    this.#node = keptNode(node);
    return this.#allows(this.#costs.hold('node', this.#node.length));
  }

  #apply(request: DeltaRequest | SotwRequest, claims?: ReadClaims): void {
    const typeUrl = this.#typeOf(request);
    const session = this.#sessions.find(typeUrl);
    if (session === undefined) this.#begin(typeUrl, request, claims);
    else this.#change(session, request);
  }

  #typeOf({ typeUrl }: Request): string {
    return typeUrl || (this.#kind.typeUrl ?? '');
  }

  #begin(typeUrl: string, request: DeltaRequest | SotwRequest, claims: ReadClaims | undefined): void {
    const count = 'claims' in request ? request.claims.count : 0;
    if (!this.#allows(this.#costs.claim(count))) return;
    const session = new TypeSession(this.#host.serverOf(typeUrl, this.protocol), request, claims);
    this.#sessions.add(session);
    if (this.#isWithinLimits()) this.#pump();
  }

  #change(session: TypeSession, request: DeltaRequest | SotwRequest): void {
    const { nonce, error } = request;
    if (error !== undefined && session.awaits(nonce)) {
      const rejection = { type: session.typeUrl, nonce, reason: error.message };
      this.#log.rejected(() => this.#who(), rejection);
    }
    const isChanged = session.receive(request, this.#host.now());
    if (nonce !== '') this.#costs.unacknowledged(this.sessions);
    if (isChanged && this.#isWithinLimits()) this.#pump();
  }

  #isWithinLimits(): boolean {
    return (
      this.#allows(this.#costs.subscribed(this.sessions)) &&
      this.#allows(this.#costs.unacknowledged(this.sessions))
    );
  }

  /** Ends the stream if there is a reason to refuse what it asked for. */
  #allows(refusal: string | undefined): boolean {
    return refusal === undefined || this.#refuse(status.RESOURCE_EXHAUSTED, refusal);
  }

  #write({ session, content }: { readonly session: TypeSession; readonly content: Content }): number {
    const { bytes } = session.send(content, this.#host.now());
    this.#sessions.sent(session);
    const { clientReceiveBytes } = this.#host.limits;
    if (bytes.length > clientReceiveBytes) {
      this.#host.oversized(
        content.upserts.filter(({ deltaEntry }) => deltaEntry.length > clientReceiveBytes).length,
      );
      this.#log.oversized(session.typeUrl, content, bytes.length);
    }
    if (!this.#allows(this.#costs.unacknowledged(this.sessions))) return 0;
    this.#outbox.write(bytes, this.#written);
    return bytes.length;
  }

  /** The connection took one response. */
  readonly #written = (): void => {
    if (this.#outbox.isEmpty && (this.#behind || this.#state === 'half-closed')) this.advance();
  };

  /** A mistake of ours costs one stream, and not the process that serves the others. */
  #guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#host.logger.error('a stream failed', { ...this.#who(), error });
    this.end(status.INTERNAL, 'The control plane failed to serve this stream: open another one.');
  }

  readonly #isOver = (): boolean => this.#state === 'ended';

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

  #leave(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#setBehind(false);
    this.#costs.release();
    this.#outbox.close(this);
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
