import { create } from '@bufbuild/protobuf';
import { type handleServerStreamingCall, type handleUnaryCall, type Server, status } from '@grpc/grpc-js';
import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthCheckResponseSchema,
  Health,
} from '../../gen/grpc/health/v1/health_pb.ts';
import { grpcService } from '../../wire/grpc-service.ts';

export interface HealthOptions {
  /** Full names of the services that are asked about one by one. */
  readonly services: readonly string[];
  readonly isServing: () => boolean;
  /** How often a watched status is looked at. */
  readonly watchMs?: number;
}

/** Adds grpc.health.v1.Health: the server as a whole ("") and each named service share one answer. */
export function addHealth(server: Server, { services, isServing, watchMs = 1_000 }: HealthOptions): void {
  const known = new Set(['', ...services]);
  const now = (): ServingStatus => (isServing() ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);

  const check: handleUnaryCall<HealthCheckRequest, HealthCheckResponse> = ({ request }, reply) => {
    if (known.has(request.service)) return reply(null, answer(now()));
    const details = `no service "${request.service}" here; there is ${services.join(', ')}`;
    return reply({ code: status.NOT_FOUND, details });
  };

  const watch: handleServerStreamingCall<HealthCheckRequest, HealthCheckResponse> = (call) => {
    let told: ServingStatus | undefined;
    const tell = (): void => {
      const current = known.has(call.request.service) ? now() : ServingStatus.SERVICE_UNKNOWN;
      if (current !== told) call.write(answer(current));
      told = current;
    };
    tell();
    const timer = setInterval(tell, watchMs);
    call.on('cancelled', () => clearInterval(timer));
    call.on('close', () => clearInterval(timer));
  };

  server.addService(grpcService(Health), { check, watch });
}

function answer(servingStatus: ServingStatus): HealthCheckResponse {
  return create(HealthCheckResponseSchema, { status: servingStatus });
}
