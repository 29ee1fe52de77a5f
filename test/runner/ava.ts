/**
 * What a test file imports as 'ava'. Each test and hook has a deadline of its own, which fails it by name and lets its
 * teardowns run. ava's `timeout` is none: it counts from the last result of any file, it ends workers without
 * teardowns, and a t.timeout() anywhere switches it off for as long, for good if that is when it expires.
 */
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext, registerCompletionHandler } from 'ava';
import { liveChildren } from './children.ts';
import { Deadline } from './deadline.ts';
import { recordTimes } from './times.ts';

export * from 'ava';

/** After a file's last test, for what it has closed to be gone. */
const CLOSING_MS = Number(process.env['CORTEXFLOW_TEST_CLOSING_MS'] ?? 15_000);

type Body = (t: ExecutionContext, ...args: readonly unknown[]) => unknown;
type Macro = Readonly<{ exec: Body; title?: unknown }>;

const started = recordTimes(relative(process.cwd(), fileURLToPath(test.meta.file)));

function bounded(body: Body): Body {
  return async (t, ...args) => {
    const ended = started(t.title);
    try {
      return await new Deadline(t).of(() => body(t, ...args));
    } finally {
      ended();
    }
  };
}

/** As they are given to `test`: a title or none, what to run, and its arguments. */
function withBoundedBody(args: readonly unknown[]): unknown[] {
  return args.with(typeof args[0] === 'string' ? 1 : 0, boundedImplementation(args));
}

function boundedImplementation(args: readonly unknown[]): unknown {
  const implementation = typeof args[0] === 'string' ? args[1] : args[0];
  if (typeof implementation === 'function') return bounded(implementation as Body);
  const macro = implementation as Macro;
  return { ...macro, exec: bounded(macro.exec) };
}

/** `test`, and what hangs on it: `test.serial`, `test.before` and so on. */
function ruled<Chain extends object>(chain: Chain): Chain {
  return new Proxy(chain, {
    apply: (declare, self, args) => {
      const isDeclaration = args.length > 1 || typeof args[0] === 'function';
      return Reflect.apply(declare as never, self, isDeclaration ? withBoundedBody(args) : args);
    },
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (name === 'skipIf' || name === 'runIf')
        return (condition: boolean) => ruled((value as (it: boolean) => object)(condition));
      return typeof value === 'function' && name !== 'macro' ? ruled(value) : value;
    },
  });
}

/** The standard streams, and the channel to the process that runs all tests. */
const RESOURCES_BEFORE = process.getActiveResourcesInfo();

function openResources(): readonly string[] {
  const before = [...RESOURCES_BEFORE];
  return process.getActiveResourcesInfo().filter((name) => {
    const at = before.indexOf(name);
    if (at !== -1) before.splice(at, 1);
    return at === -1;
  });
}

registerCompletionHandler(() => {
  setTimeout(() => {
    const open = [...openResources(), ...liveChildren()];
    throw new Error(
      `This file still holds ${open.join(', ')} ${CLOSING_MS / 1000} s after its last test: close it in t.teardown().`,
    );
  }, CLOSING_MS).unref();
});

export default ruled(test);
