import * as v from 'valibot';
import { DEFAULT_MESSAGE_LIMITS } from '../message/limits.ts';
import { list, milliseconds, received, section, text, whole } from './fields.ts';
import { listenField } from './listen-address.ts';

/** Handed to as it is: what is no URL of plain HTTP would fail with the first message. */
const httpUrl = v.pipe(
  text,
  v.check(
    (input) => URL.canParse(input) && new URL(input).protocol === 'http:',
    ({ input }) =>
      `must be an address of plain HTTP, such as http://127.0.0.1:7000/messages, and is ${received(input)}`,
  ),
  v.check((input) => {
    const { username = '', password = '' } = URL.parse(input) ?? {};
    return username === '' && password === '';
  }, 'must name no user and no password: leave them out, and let the workload take messages without'),
);

export const MessagesSchema = section({
  /** Who takes those for this workload; left out: they are acknowledged and logged. */
  deliverTo: v.optional(httpUrl),
  /** Where they are taken besides the port that outbound connections are redirected to. */
  listen: v.optional(list(listenField('127.0.0.1:5054 or [::1]:5054')), []),
  maxConnections: v.optional(whole(1, 1_000_000, 'whole number'), DEFAULT_MESSAGE_LIMITS.maxConnections),
  /** On each connection. */
  messagesPerSecond: v.optional(
    whole(1, 1_000_000, 'whole number'),
    DEFAULT_MESSAGE_LIMITS.messagesPerSecond,
  ),
  /** How long the workload may take to answer. */
  deliveryTimeoutMs: v.optional(milliseconds, DEFAULT_MESSAGE_LIMITS.deliveryTimeoutMs),
});
