/**
 * One server under measurement, as a process of its own: `cortexflow`, the webhook as it is, or `koa`, the least
 * that a webhook in Koa can do with a review: parse it and allow it.
 */
import { createServer, type Server } from 'node:https';
import Koa from 'koa';
import { Registry } from 'prom-client';
import { createApp } from '../../injector/app.ts';
import { createInjection } from '../../injector/injection.ts';
import { exposeReviews } from '../../injector/metrics.ts';
import { parseQuantity } from '../../injector/options/quantity.ts';
import { createReviewer } from '../../injector/reviewer.ts';
import { createWebhookServer } from '../../injector/server.ts';
import { listen } from '../../process/listen.ts';
import { createLogger } from '../../process/log.ts';

/** What the load process sends first, over IPC. */
export interface Begin {
  readonly certificate: string;
  readonly key: string;
}

/** CPU time of the process so far, in microseconds; sent whenever anything else arrives over IPC. */
export interface Usage {
  readonly cpuMicros: number;
}

const [contestant] = process.argv.slice(2);
process.once('message', ({ certificate, key }: Begin) => {
  const server = contestant === 'koa' ? bareKoa() : webhook();
  server.setSecureContext({ cert: certificate, key });
  void listen(server, 'the webhook', '127.0.0.1', 0).then((port) => process.send?.({ port }));
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send?.({ cpuMicros: user + system } satisfies Usage);
  });
});
process.on('disconnect', () => process.exit(0));

function webhook(): Server {
  const injection = createInjection({
    image: 'cortexflow/sidecar:0.1.0',
    controlPlane: ['control-plane.cortexflow.svc:18000', '10.96.0.7:18000'],
    adminHost: '0.0.0.0',
    resources: { cpuRequest: parseQuantity('20m'), memoryRequest: parseQuantity('64Mi') },
  });
  return createWebhookServer(
    createApp({
      review: createReviewer({ findNamespace: (name) => ({ name }), injection: () => injection }),
      observe: exposeReviews(new Registry()),
      isEnding: () => false,
      logger: createLogger({ format: 'json', level: () => 'info', write: () => {}, now: () => new Date() }),
    }),
  );
}

function bareKoa(): Server {
  const app = new Koa();
  app.use(async (context) => {
    const chunks: Buffer[] = [];
    for await (const chunk of context.req) chunks.push(chunk as Buffer);
    const { request } = JSON.parse(Buffer.concat(chunks).toString()) as { request: { uid: string } };
    context.body = {
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      response: { uid: request.uid, allowed: true },
    };
  });
  const handle = app.callback();
  return createServer({}, (request, response) => void handle(request, response));
}
