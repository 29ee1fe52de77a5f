import { create, createRegistry, type DescFile, type Registry, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { type handleBidiStreamingCall, type Server, status } from '@grpc/grpc-js';
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
  ServerReflection,
} from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { grpcMethod, messageCodec, methodPath } from '../../wire/grpc-service.ts';

/** What can be asked about. */
class Descriptors {
  readonly services: readonly string[];
  readonly #files: ReadonlyMap<string, DescFile>;
  readonly #symbols: Registry;

  constructor(services: readonly string[], files: readonly DescFile[]) {
    const all = [...new Set(files.flatMap(withImports))];
    this.services = services;
    this.#files = new Map(all.map((file) => [file.proto.name, file]));
    this.#symbols = createRegistry(...all);
  }

  file(name: string): DescFile | undefined {
    return this.#files.get(name);
  }

  /** By the full name of a service, message or enum, or of a method or field within one. */
  fileOfSymbol(symbol: string): DescFile | undefined {
    const parent = symbol.slice(0, Math.max(0, symbol.lastIndexOf('.')));
    return (this.#symbols.get(symbol) ?? this.#symbols.get(parent))?.file;
  }
}

type Answer = ServerReflectionResponse['messageResponse'];

/**
 * Adds server reflection over the given files and all that they import, so that a tool without any proto
 * file reads every message, those inside an `Any` as well. `services` are the full names that it lists.
 */
export function addReflection(server: Server, services: readonly string[], files: readonly DescFile[]): void {
  const known = new Descriptors(services, files);
  const info: handleBidiStreamingCall<ServerReflectionRequest, ServerReflectionResponse> = (call) => {
    call.on('data', (request) => {
      const messageResponse = answer(known, request);
      const reply = { validHost: request.host, originalRequest: request, messageResponse };
      if (!call.write(create(ServerReflectionResponseSchema, reply))) {
        call.pause();
        call.once('drain', () => call.resume());
      }
    });
    call.on('end', () => call.end());
  };
  const method = ServerReflection.method.serverReflectionInfo;
  const definition = grpcMethod(method, messageCodec(method.input), messageCodec(method.output));
  // Older tools know only the alpha version; it differs in nothing but its name.
  const alpha = { ...definition, path: methodPath(method).replace('.v1.', '.v1alpha.') };
  server.addService({ info: definition, alpha }, { info, alpha: info });
}

function answer(known: Descriptors, request: ServerReflectionRequest): Answer {
  const { case: asked, value } = request.messageRequest;
  switch (asked) {
    case 'listServices':
      return { case: 'listServicesResponse', value: answerList(known.services) };
    case 'fileByFilename':
      return fileAnswer(known.file(value), `file ${value}`);
    case 'fileContainingSymbol':
      return fileAnswer(known.fileOfSymbol(value), `symbol ${value}`);
    case 'fileContainingExtension':
      return notFound(`extension ${value.extensionNumber} of ${value.containingType}`);
    case 'allExtensionNumbersOfType':
      return notFound(`extensions of ${value}`);
    default:
      return failure(status.INVALID_ARGUMENT, 'the request asks for nothing that this server knows');
  }
}

function answerList(services: readonly string[]) {
  return {
    $typeName: 'grpc.reflection.v1.ListServiceResponse' as const,
    service: services.map(serviceEntry),
  };
}

function serviceEntry(name: string) {
  return { $typeName: 'grpc.reflection.v1.ServiceResponse' as const, name };
}

/** The files a tool needs to understand this one, itself first: most tools ask once and expect them all. */
function fileAnswer(file: DescFile | undefined, what: string): Answer {
  if (!file) return notFound(what);
  return {
    case: 'fileDescriptorResponse',
    value: {
      $typeName: 'grpc.reflection.v1.FileDescriptorResponse',
      fileDescriptorProto: withImports(file).map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto)),
    },
  };
}

function withImports(file: DescFile): DescFile[] {
  return [...new Set([file, ...file.dependencies.flatMap(withImports)])];
}

function notFound(what: string): Answer {
  return failure(status.NOT_FOUND, `no ${what} here`);
}

function failure(errorCode: number, errorMessage: string): Answer {
  return {
    case: 'errorResponse',
    value: { $typeName: 'grpc.reflection.v1.ErrorResponse', errorCode, errorMessage },
  };
}
