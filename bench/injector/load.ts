/** Reviews over kept-alive TLS connections, each sending the next one when the last was answered. */
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';

export interface LoadOptions {
  readonly port: number;
  readonly ca: string;
  readonly body: string;
  readonly connections: number;
  readonly seconds: number;
}

export interface LoadResult {
  readonly reviews: number;
  readonly seconds: number;
  /** Milliseconds, sorted. */
  readonly latencies: Float64Array;
  /** Bytes of one answer's body. */
  readonly answerBytes: number;
}

export async function load({ port, ca, body, connections, seconds }: LoadOptions): Promise<LoadResult> {
  const request = Buffer.from(
    `POST /mutate?timeout=5s HTTP/1.1\r\nhost: injector.cortexflow.svc\r\nuser-agent: kube-apiserver-admission\r\n` +
      `content-type: application/json\r\naccept: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  const sockets = await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect({ host: '127.0.0.1', port, ca });
      await once(socket, 'secureConnect');
      return socket;
    }),
  );
  const latencies: number[] = [];
  const begun = performance.now();
  const end = begun + seconds * 1000;
  const bytes = await Promise.all(sockets.map((socket) => drive(socket, request, end, latencies)));
  const elapsed = (performance.now() - begun) / 1000;
  for (const socket of sockets) socket.destroy();
  return {
    reviews: latencies.length,
    seconds: elapsed,
    latencies: Float64Array.from(latencies).toSorted(),
    answerBytes: bytes[0] ?? 0,
  };
}

/** Resolves with the length of an answer's body once the time is over and the last answer is there. */
function drive(socket: TLSSocket, request: Buffer, end: number, latencies: number[]): Promise<number> {
  return new Promise((resolve, reject) => {
    let sentAt = 0;
    let missing = 0;
    let length = 0;
    const send = (): void => {
      sentAt = performance.now();
      socket.write(request);
    };
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the server closed a connection')));
    socket.on('data', (chunk: Buffer) => {
      if (missing === 0) {
        const head = chunk.indexOf('\r\n\r\n');
        const text = chunk.toString('latin1', 0, head);
        length = Number(/content-length: (\d+)/iu.exec(text)?.[1]);
        if (!text.startsWith('HTTP/1.1 200 ') || Number.isNaN(length)) reject(new Error(chunk.toString()));
        missing = length + head + 4;
      }
      missing -= chunk.length;
      if (missing > 0) return;
      const now = performance.now();
      latencies.push(now - sentAt);
      if (now < end) send();
      else resolve(length);
    });
    send();
  });
}
