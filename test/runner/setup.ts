/** Loaded by ava into each worker before its test file: puts the tests of that file under the rules of this folder. */
import { registerHooks } from 'node:module';
import { endChildrenWithThisProcess } from './children.ts';

const RULES = new URL('./ava.ts', import.meta.url).href;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'ava' && context.parentURL !== RULES ? next(RULES, context) : next(specifier, context),
});

endChildrenWithThisProcess();

// Without the process that runs all tests there is nothing to report to, and nothing that ends this one.
process.on('disconnect', () => process.exit(1));
