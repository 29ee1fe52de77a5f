/** The Kubernetes node that the workload runs on. */
export interface Node {
  readonly name: string;
  /** Empty: it is in none. */
  readonly zone: string;
}
