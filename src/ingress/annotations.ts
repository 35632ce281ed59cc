import type { Ingress } from "#api/index.ts";
import { checkRewriteTarget } from "./validate.ts";

const prefix = "nginx.ingress.kubernetes.io/";

/** What an Ingress' annotations say. An absent field means the controller's default. */
export interface IngressAnnotations {
  /** nginx.ingress.kubernetes.io/rewrite-target, checked. */
  readonly rewriteTarget?: string;
  readonly sslRedirect?: boolean;
  readonly forceSslRedirect: boolean;
  readonly useRegex: boolean;
  /** Sentences about annotations that were refused or have no effect. */
  readonly complaints: readonly string[];
}

const known = new Set(["rewrite-target", "ssl-redirect", "force-ssl-redirect", "use-regex"]);

/** Reads the nginx annotations of an Ingress (ingress-nginx, user guide "Annotations"). */
export function readAnnotations(ingress: Ingress): IngressAnnotations {
  const annotations = ingress.metadata.annotations ?? {};
  const complaints: string[] = [];
  const flag = (name: string): boolean | undefined => {
    const text = annotations[prefix + name];
    if (text === undefined) return undefined;
    const value = parseBool(text);
    if (value === undefined)
      complaints.push(`annotation ${prefix}${name}: ${JSON.stringify(text)} is neither "true" nor "false"`);
    return value;
  };
  for (const key of Object.keys(annotations)) {
    if (key.startsWith(prefix) && !known.has(key.slice(prefix.length)))
      complaints.push(`annotation ${key} has no effect here`);
  }
  const sslRedirect = flag("ssl-redirect");
  const rewriteTarget = readRewriteTarget(annotations[`${prefix}rewrite-target`], complaints);
  return {
    forceSslRedirect: flag("force-ssl-redirect") ?? false,
    useRegex: flag("use-regex") ?? false,
    complaints,
    ...(sslRedirect === undefined ? {} : { sslRedirect }),
    ...(rewriteTarget === undefined ? {} : { rewriteTarget }),
  };
}

function readRewriteTarget(text: string | undefined, complaints: string[]): string | undefined {
  if (text === undefined || text === "") return undefined;
  const checked = checkRewriteTarget(text);
  if (checked.ok) return checked.value;
  complaints.push(`annotation ${prefix}rewrite-target: ${JSON.stringify(text)} ${checked.why}`);
  return undefined;
}

/** Go's strconv.ParseBool, which upstream reads annotations and options with. */
export function parseBool(text: string): boolean | undefined {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(text)) return false;
  return undefined;
}
