import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createLogger } from '../../process/log.ts';
import { schedule } from '../../process/schedule.ts';
import { until } from '../../test/until.ts';
import { CertificateDirectory } from './directory.ts';
import { issueAuthority, issueServer, type Issued } from './issue.ts';
import { ServedCertificate } from './serving.ts';

const validity = { from: Date.now() - 60_000, until: Date.now() + 3_600_000 };
const authority = await issueAuthority(validity);

function issue(): Promise<Issued> {
  return issueServer(authority, ['injector.cortexflow.svc'], validity);
}

async function begun(t: ExecutionContext) {
  const parent = await mkdtemp(join(tmpdir(), 'cortexflow-certificate-'));
  const directory = join(parent, 'mount');
  const shown: string[] = [];
  const warnings: string[] = [];
  const served = new ServedCertificate({ setSecureContext: ({ cert }) => void shown.push(cert as string) });
  const certificates = new CertificateDirectory({
    directory,
    served,
    // It looks again every ten seconds where it cannot watch the directory.
    schedule: (delayMs, run) => schedule(Math.min(delayMs, 500), run),
    progressed: () => {},
    logger: createLogger({
      format: 'json',
      level: () => 'warn',
      write: (line) => warnings.push(line),
      now: () => new Date(),
    }),
  });
  t.teardown(async () => {
    certificates.close();
    await rm(parent, { recursive: true });
  });
  return { parent, directory, shown, warnings, certificates, served };
}

/** As the kubelet mounts a Secret: links to a directory that is replaced as a whole. */
async function mount(
  directory: string,
  version: string,
  contents: Readonly<Record<string, string>>,
): Promise<void> {
  await mkdir(join(directory, version), { recursive: true });
  for (const [name, content] of Object.entries(contents)) {
    await writeFile(join(directory, version, name), content);
    await symlink(join('..data', name), join(directory, name)).catch(() => {});
  }
  await symlink(version, join(directory, '..data_tmp'));
  await rename(join(directory, '..data_tmp'), join(directory, '..data'));
}

function files({ certificate, key }: Issued): Record<string, string> {
  return { 'tls.crt': certificate.pem, 'tls.key': key };
}

test('files that come late, are renewed, and are broken for a while', async (t) => {
  const { directory, shown, warnings, certificates, served } = await begun(t);
  await until(
    'the obstacle names the missing files',
    async () => certificates.obstacle ?? '',
    (obstacle) => obstacle.includes('ENOENT'),
  );
  const [first, second, third] = [await issue(), await issue(), await issue()];
  await mount(directory, 'v1', files(first));
  await until(
    'the first certificate is shown',
    async () => shown.length,
    (count) => count === 1,
  );
  t.is(certificates.obstacle, undefined);
  t.is(served.expirySeconds, Math.floor(validity.until / 1000));

  await mount(directory, 'v2', files(second));
  await until(
    'the second certificate is shown',
    async () => shown.length,
    (count) => count === 2,
  );
  const before = warnings.length;
  await mount(directory, 'v3', { 'tls.crt': 'garbage', 'tls.key': 'garbage' });
  await until(
    'a warning about the broken files',
    async () => warnings.length,
    (count) => count > before,
  );
  t.regex(warnings.at(-1) ?? '', /what was read before stays.*there is no certificate in it/);
  t.is(certificates.obstacle, undefined);

  await mount(directory, 'v4', files(third));
  await until(
    'the third certificate is shown',
    async () => shown.length,
    (count) => count === 3,
  );
  t.deepEqual(
    shown,
    [first, second, third].map(({ certificate }) => certificate.pem),
  );
});
