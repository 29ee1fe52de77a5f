import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { binaryPath } from '../cluster/binaries.ts';
import { Child } from '../cluster/child.ts';
import { claimPort } from '../system/programs.ts';
import { until } from '../until.ts';
import { dig } from './dig.ts';

export interface CoreDns {
  readonly port: number;
  readonly process: Child;
}

/** A real CoreDNS on 127.0.0.1 with these zones; it answers when this resolves, and ends with the test at the latest. */
export async function startCoreDns(t: ExecutionContext, zones: (port: number) => string): Promise<CoreDns> {
  const directory = mkdtempSync(join(tmpdir(), 'cortexflow-coredns-'));
  const port = await claimPort();
  writeFileSync(join(directory, 'Corefile'), zones(port));
  const process = new Child('coredns', [binaryPath('coredns'), '-conf', 'Corefile'], directory);
  t.teardown(async () => {
    await process.kill();
    rmSync(directory, { recursive: true, force: true });
  });
  const asked = async () => {
    if (process.failure !== undefined) throw new Error(process.failure);
    return dig(port, 'www.example.com').catch(() => undefined);
  };
  await until('an answer of CoreDNS for www.example.com', asked, (answer) => answer?.status === 'NOERROR');
  return { port, process };
}

/** What is outside of the cluster. */
export const OUTSIDE = `
  template IN A www.example.com {
    answer "{{ .Name }} 30 IN A 192.0.2.7"
  }
  template IN AAAA www.example.com {
    answer "{{ .Name }} 30 IN AAAA 2001:db8::7"
  }
  template ANY ANY {
    rcode NXDOMAIN
    authority ". 60 IN SOA outside. nobody. 1 60 60 60 60"
  }`;
