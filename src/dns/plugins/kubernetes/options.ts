/** How pods' names are answered. */
export type PodMode = "disabled" | "insecure" | "verified";

/** What a kubernetes directive says about records. */
export interface RecordOptions {
  /** The first zone that is not a reverse one: reverse records point into it. */
  readonly primaryZone: string;
  /** Seconds. */
  readonly ttl: number;
  readonly podMode: PodMode;
  /** Name endpoints by their pods. */
  readonly endpointPodNames: boolean;
  /** A Service without endpoints does not exist. */
  readonly ignoreEmptyService: boolean;
  /** Only these namespaces are shown; absent: all. */
  readonly namespaces?: ReadonlySet<string>;
  /** Namespaces are selected by label: only those that are known are shown. */
  readonly labelledNamespaces?: boolean;
}

/** Whether a namespace's names are answered. */
export function isShown(options: RecordOptions, namespace: string): boolean {
  return options.namespaces?.has(namespace) ?? true;
}

/** Whether names of Services in a namespace are answered, when namespaces can be selected by label too. */
export function isExposed(
  options: RecordOptions,
  index: { hasNamespace(name: string): boolean },
  namespace: string,
): boolean {
  return isShown(options, namespace) && (!options.labelledNamespaces || index.hasNamespace(namespace));
}
