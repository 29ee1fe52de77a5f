import type { RawCall } from './caller.ts';
import type { SendRoom, Waiting } from './send-room.ts';

/** What one stream wrote and its connection has not taken yet. */
export class Outbox {
  readonly #call: RawCall;
  readonly #room: SendRoom;
  readonly #account: string;
  readonly #now: () => number;
  #writes = 0;
  #bytes = 0;
  #progressAt = 0;
  #isClosed = false;

  constructor(call: RawCall, { sendRoom, now }: OutboxHost, account: string) {
    this.#call = call;
    this.#room = sendRoom;
    this.#account = account;
    this.#now = now;
  }

  get isEmpty(): boolean {
    return this.#writes === 0;
  }

  /** Since when the connection has taken nothing; undefined while nothing is unsent. */
  get stalledSince(): number | undefined {
    return this.#writes > 0 ? this.#progressAt : undefined;
  }

  /** May something be written? If not, the stream is advanced when it may. */
  hasRoom(stream: Waiting): boolean {
    if (this.#room.has(this.#account)) return true;
    this.#room.wait(this.#account, stream);
    return false;
  }

  /** `taken` is called when the connection took these bytes. */
  write(bytes: Buffer, taken: () => void): void {
    if (this.#writes === 0) this.#progressAt = this.#now();
    this.#writes += 1;
    this.#bytes += bytes.length;
    this.#room.sending(this.#account, bytes.length);
    this.#call.write(bytes, () => {
      this.#writes -= 1;
      this.#progressAt = this.#now();
      if (!this.#isClosed) {
        this.#bytes -= bytes.length;
        this.#room.sent(this.#account, bytes.length);
      }
      taken();
    });
  }

  close(stream: Waiting): void {
    this.#isClosed = true;
    this.#room.leave(this.#account, stream);
    if (this.#bytes > 0) this.#room.sent(this.#account, this.#bytes);
    this.#bytes = 0;
  }
}

export interface OutboxHost {
  readonly sendRoom: SendRoom;
  readonly now: () => number;
}
