/** Any Kubernetes object, as far as all are alike. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

export type Labels = Readonly<Record<string, string>>;

interface Port {
  readonly name: string;
  readonly containerPort: number;
}

interface Probe {
  readonly httpGet: { readonly port: string };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly ports: readonly Port[];
  readonly volumeMounts?: readonly { readonly mountPath: string }[];
  readonly lifecycle?: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
  readonly startupProbe: Probe;
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
  readonly resources: { readonly requests: Labels; readonly limits: Labels };
}

interface Selector {
  readonly matchLabels: Labels;
}

interface Deployment {
  readonly spec: {
    readonly replicas: number;
    readonly selector: Selector;
    readonly template: {
      readonly metadata: { readonly labels: Labels };
      readonly spec: {
        readonly serviceAccountName: string;
        readonly priorityClassName: string;
        readonly terminationGracePeriodSeconds: number;
        readonly containers: readonly Container[];
        readonly topologySpreadConstraints: readonly {
          readonly labelSelector: Selector;
          readonly topologyKey: string;
          readonly whenUnsatisfiable: string;
        }[];
      };
    };
  };
}

interface Service {
  readonly spec: {
    readonly selector: Labels;
    readonly ports: readonly { readonly port: number; readonly targetPort: string }[];
  };
}

interface Budget {
  readonly spec: { readonly selector: Selector; readonly maxUnavailable: number };
}

interface NetworkPolicy {
  readonly spec: {
    readonly podSelector: Selector;
    readonly ingress: readonly { readonly ports: readonly { readonly port: number }[] }[];
  };
}

export interface Webhook {
  readonly name: string;
  readonly failurePolicy: string;
  readonly clientConfig: object;
}

/** What tests look into, by kind; of the rest it matters only that it is there. */
interface Kinds {
  readonly Deployment: Deployment;
  readonly Service: Service;
  readonly PodDisruptionBudget: Budget;
  readonly NetworkPolicy: NetworkPolicy;
  readonly MutatingWebhookConfiguration: { readonly webhooks: readonly Webhook[] };
  readonly ServiceAccount: object;
  readonly PriorityClass: object;
}
type Kind = keyof Kinds;

export function allOf<Of extends Kind>(manifests: readonly Manifest[], kind: Of): (Manifest & Kinds[Of])[] {
  return manifests.filter((manifest) => manifest.kind === kind) as (Manifest & Kinds[Of])[];
}

/** The one of this kind and name. */
export function find<Of extends Kind>(
  manifests: readonly Manifest[],
  kind: Of,
  name: string,
): Manifest & Kinds[Of] {
  const [found, ...more] = allOf(manifests, kind).filter(({ metadata }) => metadata.name === name);
  if (found === undefined || more.length > 0) throw new Error(`not one ${kind} ${name}`);
  return found;
}
