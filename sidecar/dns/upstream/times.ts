/** How long a server may take before the next is asked, or the same again. */
export const ATTEMPT_MS = 1_000;
/** How long all servers may take together: within what resolvers wait, which is 5 s as a rule. */
export const ANSWER_MS = 4_000;

/** How long servers may take by TCP. */
export interface StreamTimes {
  /** To accept and to answer, before the next is asked as well. */
  readonly attemptMs: number;
  /** All of them together. */
  readonly answerMs: number;
}
