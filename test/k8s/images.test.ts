import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { programImports } from './program-imports.ts';

const TOP = join(import.meta.dirname, '..', '..');

interface Instruction {
  readonly verb: string;
  readonly rest: string;
}

interface Image {
  readonly program: string;
  readonly entries: readonly string[];
}

const IMAGES: readonly Image[] = [
  { program: 'control-plane', entries: ['control-plane/main.ts'] },
  { program: 'injector', entries: ['injector/main.ts'] },
  { program: 'sidecar', entries: ['sidecar/main.ts', 'sidecar/proxy-init/main.ts'] },
];

/** One instruction a line, its continuation lines joined. */
function dockerfile(program: string): Instruction[] {
  return readFileSync(join(TOP, program, 'Dockerfile'), 'utf8')
    .replaceAll(/\\\n\s*/gu, '')
    .split('\n')
    .filter((line) => /^[A-Z]/u.test(line))
    .map((line) => ({ verb: line.split(' ', 1)[0] ?? '', rest: line.slice(line.indexOf(' ') + 1) }));
}

/** What follows this word in the instructions of this verb. */
function after(program: string, verb: string, word: string): string[] {
  return dockerfile(program)
    .filter((instruction) => instruction.verb === verb && instruction.rest.includes(word))
    .map(({ rest }) => rest.slice(rest.indexOf(word) + word.length).trim());
}

function commandOf(program: string): string[] {
  const [command = '[]'] = after(program, 'CMD', '');
  return JSON.parse(command) as string[];
}

const { dependencies, devDependencies, scripts } = JSON.parse(
  readFileSync(join(TOP, 'package.json'), 'utf8'),
) as {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  scripts: Record<string, string>;
};

for (const { program, entries } of IMAGES) {
  const { files, packages } = programImports(TOP, entries);

  test(`the ${program} image holds the packages that the program imports, and no other`, (t) => {
    const removed = after(program, 'RUN', 'npm uninstall').flatMap((rest) =>
      rest.split(' ').filter((word) => !word.startsWith('-')),
    );
    const unused = Object.keys(dependencies).filter((name) => !packages.has(name));
    t.deepEqual(removed.toSorted(), unused.toSorted());
    t.deepEqual(
      [...packages].filter((name) => dependencies[name] === undefined),
      [],
    );
  });

  test(`the ${program} image holds the rooms that the program is made of, and no other`, (t) => {
    const copied = dockerfile(program)
      .filter(({ verb, rest }) => verb === 'COPY' && /^(?<room>\S+) \k<room>$/u.test(rest))
      .map(({ rest }) => rest.split(' ', 1)[0]);
    const rooms = new Set([...files].map((file) => file.split('/', 1)[0]));
    t.deepEqual([...rooms.symmetricDifference(new Set(copied))], []);
  });

  test(`the ${program} image is tried with the command that it starts with`, (t) => {
    const command = commandOf(program);
    const [warmUp = ''] = after(program, 'RUN', '/build/warm-up.ts');
    t.is(command.at(-1), entries[0]);
    t.true(warmUp.endsWith(command.join(' ')), `${warmUp} ends with ${command.join(' ')}`);
  });
}

test('every image is made of the very Node that everything is tested with', (t) => {
  const files = [
    ...IMAGES.map(({ program }) => `${program}/Dockerfile`),
    'test/cluster/images/app.Dockerfile',
    'examples/kubernetes/hello.yaml',
  ];
  for (const file of files) {
    const named = readFileSync(join(TOP, file), 'utf8').matchAll(/(?<=^FROM |^\s*image: )\S+/gmu);
    const images = new Set([...named].map(([image]) => image));
    t.deepEqual([...images], [`node:${devDependencies['node']}-bookworm-slim`], file);
  }
});

test('the sidecar image starts the sidecar as npm run sidecar does, with node:ffi', (t) => {
  const script = (scripts['sidecar'] ?? '')
    .split(' ')
    .filter((word) => !word.startsWith('NODE_COMPILE_CACHE'));
  const flags = script.filter((word) => word.startsWith('--'));
  const variables = script.filter((word) => /^\w+=/u.test(word));
  t.true(flags.length > 0 && variables.length > 0);
  t.deepEqual(commandOf('sidecar'), ['node', ...flags, '--experimental-ffi', 'sidecar/main.ts']);
  const set = new Set(after('sidecar', 'ENV', '').flatMap((rest) => rest.split(/\s+/u)));
  t.deepEqual(
    variables.filter((variable) => !set.has(variable)),
    [],
  );
});
