import type { MethodDefinition } from '@grpc/grpc-js';

/** A service whose only method answers with who answered. */
export const greet: MethodDefinition<string, string> = {
  path: '/interop.Greeter/Greet',
  requestStream: false,
  responseStream: false,
  requestSerialize: Buffer.from,
  requestDeserialize: String,
  responseSerialize: Buffer.from,
  responseDeserialize: String,
};
