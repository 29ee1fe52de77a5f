import type { IncomingMessage, ServerResponse } from 'node:http';
import Koa, { type Context } from 'koa';
import type { Logger } from '../process/log.ts';
import { type BodyLimits, BodyReader, type WholeBody } from './request-body.ts';
import { ReviewTurns } from './review-turns.ts';
import type { Outcome, ReviewAnswer, Reviewer } from './reviewer.ts';

export interface AppOptions {
  readonly review: Reviewer;
  /** Told of each request to the webhook, with how long it took from its head to its answer. */
  readonly observe: (outcome: Outcome, seconds: number) => void;
  /** While true, answers ask clients to make their next connection anew, to another replica maybe. */
  readonly isEnding: () => boolean;
  readonly logger: Logger;
  readonly limits?: BodyLimits;
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const PATH = '/mutate';

/** `POST /mutate` and nothing else. Whatever is sent, it is answered, and harms nothing but itself. */
export function createApp(options: AppOptions): Handler {
  const app = new Koa();
  const bodies = new BodyReader(options.limits);
  const turns = new ReviewTurns();
  app.use(async (context) => {
    const path = pathOf(context.req);
    if (path !== PATH) refuse(context, 404, `nothing at ${path.slice(0, 100)}; there is POST ${PATH}`);
    else if (context.method !== 'POST') {
      context.set('Allow', 'POST');
      refuse(context, 405, `${context.method} is not for ${PATH}; there is POST`);
    } else await mutate(context, { ...options, bodies, turns });
    if (options.isEnding()) context.set('Connection', 'close');
  });
  // What is left are faults of connections: nobody is there any more to be told.
  app.on('error', (error: Error) => options.logger.debug('A request came to nothing', { error }));
  const handle = app.callback();
  return (request, response) => void handle(request, response);
}

/** As it was sent, without the query: an API server puts its timeout there. What is no path is no fault of ours. */
function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? '';
}

interface Means extends AppOptions {
  readonly bodies: BodyReader;
  readonly turns: ReviewTurns;
}

async function mutate(context: Context, means: Means): Promise<void> {
  const begun = performance.now();
  const outcome = await reviewInto(context, means);
  means.observe(outcome, (performance.now() - begun) / 1000);
}

async function reviewInto(context: Context, means: Means): Promise<Outcome> {
  if (!isJson(context.req.headers['content-type'])) {
    return refuse(context, 415, 'send application/json');
  }
  const body = await means.bodies.read(context.req);
  if (!body.ok) return body.status ? refuse(context, body.status, body.sentence) : 'error';
  try {
    const answer = await reviewOf(body, context.req, means);
    if (answer === undefined) return 'error';
    const { status, outcome, text } = answer;
    if (status !== 200) return refuse(context, status, text);
    context.type = 'application/json';
    context.body = text;
    return outcome;
  } catch (error) {
    // A fault of ours must not end the process: the next review may be of another kind.
    means.logger.error('A review failed, which is a fault of the injector', { error: stackOf(error) });
    return refuse(context, 500, 'the injector failed; its log says why');
  }
}

/** Undefined where the connection was closed before it was this review's turn. */
function reviewOf(
  { bytes, cost, release }: WholeBody,
  { socket }: IncomingMessage,
  { turns, review }: Means,
): Promise<ReviewAnswer | undefined> {
  return turns.take(socket.remoteAddress ?? '', cost, () => {
    release();
    return socket.destroyed ? undefined : review(bytes.toString());
  });
}

/** An API server asks nothing that is refused; whoever does gets no second request on the connection. */
function refuse(context: Context, status: number, sentence: string): 'error' {
  context.status = status;
  context.type = 'text/plain';
  context.body = `${sentence}\n`;
  context.set('Connection', 'close');
  // An API server tries again only where it is told when.
  if (status === 503) context.set('Retry-After', '1');
  return 'error';
}

function isJson(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/json\s*(?:;|$)/iu.test(contentType);
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
