/**
 * Sends messages of growing size over one gRPC stream, and prints how many of them came back as they were sent.
 *
 *   node /app/mounted/grpc-client.ts grpc:50051 <messages>
 */
import { Client, credentials } from '@grpc/grpc-js';

const [target = '', count = '1'] = process.argv.slice(2);
const client = new Client(target, credentials.createInsecure());
const bytes = (message: Buffer): Buffer => message;
const call = client.makeBidiStreamRequest('/journey.Echo/Call', bytes, bytes);
const messages = Array.from({ length: Number(count) }, (_, index) => Buffer.alloc(index * 100, `${index} `));
for (const message of messages) call.write(message);
call.end();

let right = 0;
let received = 0;
for await (const message of call) {
  if (messages[received++]!.equals(message as Buffer)) right++;
}
process.stdout.write(`${JSON.stringify({ received, right })}\n`);
client.close();
