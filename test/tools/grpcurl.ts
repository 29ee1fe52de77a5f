import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findInstalled } from './installed.ts';

export const INSTALL_GRPCURL = 'go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3';

export function findGrpcurl(): string | undefined {
  return findInstalled('grpcurl');
}

/** What grpcurl prints, run without any proto file at hand. Rejects with what it complains about. */
export async function grpcurl(binary: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(binary, ['-plaintext', ...args]);
  return stdout;
}
