import type { MethodDefinition } from '@grpc/grpc-js';

/** A service whose only method answers with who answered. */
export const greet: MethodDefinition<string, string> = {
  path: '/interop.Greeter/Greet',
  requestStream: false,
  responseStream: false,
  requestSerialize: (text) => Buffer.from(text),
  requestDeserialize: String,
  responseSerialize: (text) => Buffer.from(text),
  responseDeserialize: String,
};
