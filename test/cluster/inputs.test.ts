import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { copiedPaths, digestOf, digestOfBuild } from './inputs.ts';

const DOCKERFILE = `FROM base AS build
COPY package.json package-lock.json ./
COPY --chown=0:0 wire \\
     wire
FROM base
COPY --from=build /app .
`;

test('what a Dockerfile copies is what the tree gives it', (t) => {
  t.deepEqual(copiedPaths(DOCKERFILE), ['package.json', 'package-lock.json', 'wire']);
});

test('another state of what is copied is another image', (t) => {
  const context = tree(t);
  const digests = [digestOfBuild(join(context, 'Dockerfile'), context)];
  const write = (path: string, text: string): number => {
    writeFileSync(join(context, path), text);
    return digests.push(digestOfBuild(join(context, 'Dockerfile'), context));
  };
  write('wire/kinds.ts', 'changed');
  write('wire/deep/new.ts', '');
  write('Dockerfile', `${DOCKERFILE}USER 1\n`);
  t.is(new Set(digests).size, digests.length);
});

test('what is not copied, and tests, make no other image', (t) => {
  const context = tree(t);
  const before = digestOfBuild(join(context, 'Dockerfile'), context);
  for (const path of ['sidecar.ts', 'wire/kinds.test.ts', 'wire/README.md'])
    writeFileSync(join(context, path), 'new');
  t.is(digestOfBuild(join(context, 'Dockerfile'), context), before);
});

test('parts do not run into each other', (t) => {
  t.not(digestOf(['ab', 'c']), digestOf(['a', 'bc']));
});

function tree(t: ExecutionContext): string {
  const context = mkdtempSync(join(tmpdir(), 'cortexflow-inputs-'));
  t.teardown(() => rmSync(context, { recursive: true }));
  const files = {
    Dockerfile: DOCKERFILE,
    'package.json': '{}',
    'package-lock.json': '{}',
    'wire/kinds.ts': '',
    'wire/deep/a.ts': '',
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(context, path)), { recursive: true });
    writeFileSync(join(context, path), text);
  }
  return context;
}
