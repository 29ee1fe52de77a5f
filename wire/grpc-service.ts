import type { DescMessage, DescMethod, DescService, MessageShape } from '@bufbuild/protobuf';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';

/** How one message type becomes bytes and comes back. */
export interface Codec<T> {
  readonly encode: (message: T) => Buffer;
  readonly decode: (bytes: Buffer) => T;
}

/** The ordinary codec of a generated message. */
export function messageCodec<Desc extends DescMessage>(schema: Desc): Codec<MessageShape<Desc>> {
  return {
    encode: (message) => asBuffer(toBinary(schema, message)),
    decode: (bytes) => fromBinary(schema, bytes),
  };
}

/** Passes bytes that are serialised already, or are to be parsed later. */
export const rawCodec: Codec<Buffer> = { encode: (bytes) => bytes, decode: (bytes) => bytes };

/** `/package.Service/Method` */
export function methodPath(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** A grpc-js method definition for a generated method; codecs other than the ordinary ones may be given. */
export function grpcMethod<Request, Response>(
  method: DescMethod,
  request: Codec<Request>,
  response: Codec<Response>,
): MethodDefinition<Request, Response> {
  return {
    path: methodPath(method),
    originalName: method.localName,
    requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
    responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
    requestSerialize: request.encode,
    requestDeserialize: request.decode,
    responseSerialize: response.encode,
    responseDeserialize: response.decode,
  };
}

/** A grpc-js service definition for a generated service, keyed by the methods' local names. */
export function grpcService(service: DescService): ServiceDefinition {
  return Object.fromEntries(
    service.methods.map((method) => [
      method.localName,
      grpcMethod(method, messageCodec(method.input), messageCodec(method.output)),
    ]),
  );
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
