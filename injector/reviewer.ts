import { checkAndValidatePod, type Eligibility, type Namespace, type Surroundings } from './eligibility.ts';
import type { Injection } from './injection.ts';
import { SIDECAR_CONTAINER } from './names.ts';
import { type Pod, podName } from './pod.ts';
import { readReview, reviewAnswer, type Verdict } from './review.ts';

/** How a review ended. `error`: it could not be understood, or a fault of ours. */
export type Outcome = Verdict['outcome'] | 'error';

/** Undefined where nothing could be learned of the namespace. */
export type FindNamespace = (name: string) => Namespace | Promise<Namespace | undefined>;

export interface ReviewerOptions {
  readonly findNamespace: FindNamespace;
  /** Asked each time: it changes with the control plane's address. */
  readonly injection: () => Injection;
  /** Default: as in a cluster that enforces no Pod Security Standard by itself. */
  readonly surroundings?: Surroundings;
}

export interface ReviewAnswer {
  readonly status: 200 | 400;
  readonly outcome: Outcome;
  /** An AdmissionReview as JSON with status 200, otherwise a sentence. */
  readonly text: string;
}

/** How many mistakes of one pod are told, and how many warnings. */
const MOST_TOLD = 10;

/** From the body of a request to the body of its answer. */
export type Reviewer = (body: string) => ReviewAnswer | Promise<ReviewAnswer>;

export function createReviewer({ findNamespace, injection, surroundings }: ReviewerOptions): Reviewer {
  const judge = (review: PodReview, namespace: Namespace | undefined): ReviewAnswer => {
    const found = namespace ?? { name: review.namespace };
    const eligibility = checkAndValidatePod(review.pod, found, surroundings);
    const remarks = unread(review.namespace, namespace);
    return answered(review.uid, verdictOn(review.pod, eligibility, remarks, injection()));
  };
  return (body) => {
    const review = readReview(body);
    if (review.kind === 'malformed') return { status: 400, outcome: 'error', text: review.sentence };
    if (review.kind === 'other') {
      return answered(review.uid, { outcome: 'skipped', reason: review.why, warnings: [] });
    }
    const namespace = findNamespace(review.namespace);
    return namespace instanceof Promise
      ? namespace.then((found) => judge(review, found))
      : judge(review, namespace);
  };
}

function answered(uid: string, verdict: Verdict): ReviewAnswer {
  return { status: 200, outcome: verdict.outcome, text: reviewAnswer(uid, verdict) };
}

const ALREADY_INJECTED = `it already has a proxy (container ${SIDECAR_CONTAINER})`;

type PodReview = Extract<ReturnType<typeof readReview>, { kind: 'pod' }>;

function verdictOn(
  pod: Pod,
  eligibility: Eligibility,
  remarks: readonly string[],
  injection: Injection,
): Verdict {
  if (eligibility.kind === 'mistaken') {
    return { outcome: 'rejected', message: `pod ${podName(pod)}: ${enumerated(eligibility.mistakes)}` };
  }
  const warnings = shortened([...remarks, ...eligibility.warnings]).map(
    (warning) => `pod ${podName(pod)}: ${warning}`,
  );
  if (eligibility.kind === 'ineligible') return { outcome: 'skipped', reason: eligibility.reason, warnings };
  const patch = injection(pod, eligibility.options);
  // It had its warnings when it was injected.
  return patch === undefined
    ? { outcome: 'skipped', reason: ALREADY_INJECTED, warnings: [] }
    : { outcome: 'injected', patch, warnings };
}

function unread(name: string, namespace: Namespace | undefined): string[] {
  return namespace === undefined
    ? [`namespace ${name} could not be read: what it says about proxy-injection does not count`]
    : [];
}

function enumerated(mistakes: readonly string[]): string {
  return shortened(mistakes).join('; ');
}

function shortened(sentences: readonly string[]): string[] {
  const more = sentences.length - MOST_TOLD;
  return more > 0 ? [...sentences.slice(0, MOST_TOLD), `and ${more} more`] : [...sentences];
}
