/** Where a kernel object, a rule or a line of configuration comes from. */
export interface Origin {
  /** A Kubernetes kind, or the component's name for what no object asked for. */
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  /** Path inside the object, such as `spec.rules[0].host`. */
  readonly field?: string;
  /** `examples/x.yaml:12`, from the annotation podwire.dev/source. */
  readonly source?: string;
}

/** `Service shop/web spec.ports[0] (shop.yaml:12)` */
export function originText({ kind, namespace, name, field, source }: Origin): string {
  const object = `${kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
  return `${object}${field === undefined ? "" : ` ${field}`}${source === undefined ? "" : ` (${source})`}`;
}
