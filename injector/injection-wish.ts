import { INJECTION } from './names.ts';
import { excerpt } from './options/excerpt.ts';
import type { TextMap } from './pod.ts';

/** What a pod or a namespace says about being injected, by annotation or label. */
export type Wish =
  | { readonly kind: 'none' }
  | { readonly kind: 'enabled' }
  | { readonly kind: 'disabled' }
  /** A sentence: it says something that cannot be understood. */
  | { readonly kind: 'unclear'; readonly sentence: string };

export interface Labelled {
  readonly labels?: TextMap | null;
  readonly annotations?: TextMap | null;
}

const NONE: Wish = { kind: 'none' };

/** Where annotation and label contradict each other, `disabled` wins: leaving a pod as it is harms least. */
export function wishOf({ labels, annotations }: Labelled): Wish {
  const wishes = [wish('annotation', annotations?.[INJECTION]), wish('label', labels?.[INJECTION])];
  return (
    wishes.find(({ kind }) => kind === 'unclear') ??
    wishes.find(({ kind }) => kind === 'disabled') ??
    wishes.find(({ kind }) => kind === 'enabled') ??
    NONE
  );
}

function wish(what: 'annotation' | 'label', value: string | undefined): Wish {
  if (value === undefined || value === '') return NONE;
  if (value === 'enabled' || value === 'disabled') return { kind: value };
  return { kind: 'unclear', sentence: `${what} ${INJECTION} is ${excerpt(value)}: use enabled or disabled` };
}
