import type { Logger } from '../../process/log.ts';
import { type Answer, RECEIVED } from './answer.ts';
import type { Taker } from './delivery.ts';
import { dotted, type Message } from './protocol.ts';
import { Rate } from './rate.ts';

const LINES_PER_SECOND = 100;

/** Stands in where no workload is declared to take messages: says that they were received, and that is all. */
export class LogTaker implements Taker {
  readonly #log: Logger;
  readonly #rate = new Rate(LINES_PER_SECOND, performance.now());
  #leftOut = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  async take({ service, payload }: Message, from: string): Promise<Answer> {
    if (this.#rate.dueInMs(performance.now()) === 0) {
      this.#rate.take();
      const bytes = Buffer.byteLength(payload, 'base64');
      const leftOut = this.#leftOut === 0 ? {} : { leftOut: this.#leftOut };
      this.#leftOut = 0;
      this.#log.info('Received a message.', { service: dotted(service), from, bytes, ...leftOut });
    } else {
      this.#leftOut++;
    }
    return RECEIVED;
  }
}
