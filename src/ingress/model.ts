import {
  type HttpIngressPath,
  type Ingress,
  type IngressClass,
  type IngressRule,
  SOURCE_ANNOTATION,
} from "#api/index.ts";
import type { Origin } from "#base/origin.ts";
import { type IngressAnnotations, readAnnotations } from "./annotations.ts";
import { resolveBackend, resolveDefaultService, type Services, type Target } from "./backend.ts";
import { type ClassOptions, isOurs } from "./classes.ts";
import { type Checked, checkHost, checkPath, checkRegex } from "./validate.ts";

/** The cluster's objects that decide where requests go. */
export interface IngressInputs {
  readonly ingresses: readonly Ingress[];
  readonly classes: readonly IngressClass[];
  readonly services: Services;
}

/** Options of the model; names are the controller's flags and ConfigMap keys. */
export interface ModelOptions extends ClassOptions {
  /** `--default-backend-service`: namespace/name. */
  readonly defaultBackendService?: string;
  /** `ssl-redirect` of the ConfigMap: 308 to https for hosts that have TLS. */
  readonly sslRedirect: boolean;
}

/**
 * How a route's path is compared, in the percent-decoded, normalised path of a request:
 * `exact` whole; `prefix` element by element (/wear takes /wear and /wear/x, not /wearable); `string` as plain text
 * (ImplementationSpecific); `regex` from the start, without case, as nginx's `~*`.
 */
export type Match = "exact" | "prefix" | "string" | "regex";

/** One path of one virtual host. */
export interface Route {
  readonly match: Match;
  /** Decoded; for `prefix` without a slash at its end, except "/" itself. For `regex` the expression. */
  readonly path: string;
  readonly target: Target;
  /** The URI that replaces the request's, with $1… from the regular expression. */
  readonly rewrite?: string;
  /** Answer plain http with 308 to https. */
  readonly httpsOnly: boolean;
  readonly origin: Origin;
}

/** Everything under one name. */
export interface VirtualHost {
  /** A DNS name, `*.` and a name (one label only), or "_" for all other names. */
  readonly host: string;
  /** In the order in which they are tried. */
  readonly routes: readonly Route[];
  /** What no route takes. */
  readonly fallback: { readonly target: Target; readonly origin: Origin };
}

/** Something that an Ingress' author should know. */
export interface Complaint {
  readonly ingress: Ingress;
  readonly reason: ComplaintReason;
  readonly message: string;
}

/** Reasons of the Warning events. */
export type ComplaintReason = "InvalidAnnotation" | "InvalidHost" | "InvalidPath" | "Conflict" | "BackendUnavailable";

/** What the data plane shall do. */
export interface IngressModel {
  /** The catch-all "_" first, then by name. */
  readonly hosts: readonly VirtualHost[];
  readonly complaints: readonly Complaint[];
  /** Ours, oldest first. */
  readonly ingresses: readonly Ingress[];
}

/** Mutable while a model is built. */
interface Draft {
  readonly routes: Map<string, { route: Route; owner: Ingress }>;
  fallback?: VirtualHost["fallback"];
}

/**
 * Ingresses and Services → virtual hosts. Where two Ingresses claim the same path of the same host the older one wins
 * and the other gets a complaint. Pure: same input, same output.
 */
export function buildModel(inputs: IngressInputs, options: ModelOptions): IngressModel {
  const ingresses = inputs.ingresses.filter((each) => isOurs(each, inputs.classes, options)).toSorted(byAge);
  const drafts = new Map<string, Draft>([["_", { routes: new Map() }]]);
  const complaints: Complaint[] = [];
  for (const ingress of ingresses) {
    const complain: Complain = (reason, message) => complaints.push({ ingress, reason, message });
    new Reader(ingress, inputs.services, options, drafts, complain).read();
  }
  const fallback = globalFallback(inputs.services, options);
  const hosts = [...drafts]
    .map(
      ([host, draft]): VirtualHost => ({
        host,
        routes: [...draft.routes.values()].map(({ route }) => route).toSorted(byPrecedence),
        fallback: draft.fallback ?? fallback,
      }),
    )
    .toSorted((a, b) => Number(b.host === "_") - Number(a.host === "_") || compareText(a.host, b.host));
  return { hosts, complaints, ingresses };
}

function globalFallback(services: Services, options: ModelOptions): VirtualHost["fallback"] {
  const key = options.defaultBackendService;
  if (!key) {
    const origin = { kind: "Controller", name: "ingress", field: "no --default-backend-service" };
    return { target: { kind: "answer", status: 404, why: "no default backend" }, origin };
  }
  const [namespace = "", name = ""] = key.split("/");
  const origin = { kind: "Service", namespace, name, field: "--default-backend-service" };
  return { target: resolveDefaultService(key, services), origin };
}

type Complain = (reason: ComplaintReason, message: string) => void;

/** Reads one Ingress into the drafts. */
class Reader {
  readonly #ingress: Ingress;
  readonly #services: Services;
  readonly #options: ModelOptions;
  readonly #drafts: Map<string, Draft>;
  readonly #complain: Complain;
  readonly #annotations: IngressAnnotations;

  constructor(
    ingress: Ingress,
    services: Services,
    options: ModelOptions,
    drafts: Map<string, Draft>,
    complain: Complain,
  ) {
    this.#ingress = ingress;
    this.#services = services;
    this.#options = options;
    this.#drafts = drafts;
    this.#complain = complain;
    this.#annotations = readAnnotations(ingress);
  }

  read(): void {
    for (const complaint of this.#annotations.complaints) this.#complain("InvalidAnnotation", complaint);
    const { rules = [] } = this.#ingress.spec;
    // A default backend takes what the Ingress' own hosts leave over; without rules, what every host leaves over.
    if (rules.length === 0) this.#fallback("_");
    for (const [index, rule] of rules.entries()) this.#rule(rule, `spec.rules[${index}]`);
  }

  #rule(rule: IngressRule, field: string): void {
    const checked: Checked = rule.host ? checkHost(rule.host) : { ok: true, value: "_" };
    if (!checked.ok) {
      this.#complain("InvalidHost", `${field}.host: ${JSON.stringify(rule.host)} ${checked.why}`);
      return;
    }
    this.#fallback(checked.value);
    for (const [at, path] of (rule.http?.paths ?? []).entries()) {
      this.#path(checked.value, path, `${field}.http.paths[${at}]`);
    }
  }

  #draft(host: string): Draft {
    const existing = this.#drafts.get(host);
    if (existing) return existing;
    const draft: Draft = { routes: new Map() };
    this.#drafts.set(host, draft);
    return draft;
  }

  #fallback(host: string): void {
    const draft = this.#draft(host);
    const backend = this.#ingress.spec.defaultBackend;
    if (!backend || draft.fallback) return;
    draft.fallback = {
      target: this.#target(backend, "spec.defaultBackend"),
      origin: this.#origin("spec.defaultBackend"),
    };
  }

  #path(host: string, path: HttpIngressPath, field: string): void {
    const text = path.path || "/";
    const match = matchOf(path, this.#annotations);
    const checked = match === "regex" ? checkRegex(text) : checkPath(text);
    if (!checked.ok) {
      this.#complain("InvalidPath", `${field}.path: ${JSON.stringify(text)} ${checked.why}`);
      return;
    }
    const value = match === "prefix" ? checked.value.replace(/\/+$/, "") || "/" : checked.value;
    const { routes } = this.#draft(host);
    const key = `${match} ${value}`;
    const taken = routes.get(key);
    if (taken) {
      const isOwn = taken.owner === this.#ingress;
      const other = isOwn ? taken.route.origin.field : `Ingress ${nameOf(taken.owner)}, which is older`;
      const place = `path ${JSON.stringify(text)} of ${host === "_" ? "all hosts" : `host ${host}`}`;
      this.#complain("Conflict", `${field}: ${place} is already taken by ${other}`);
      return;
    }
    const { rewriteTarget } = this.#annotations;
    const route: Route = {
      match,
      path: value,
      target: this.#target(path.backend, `${field}.backend`),
      httpsOnly: this.#httpsOnly(host),
      origin: this.#origin(field),
      ...(rewriteTarget === undefined ? {} : { rewrite: rewriteTarget }),
    };
    routes.set(key, { route, owner: this.#ingress });
  }

  #httpsOnly(host: string): boolean {
    if (this.#annotations.forceSslRedirect) return true;
    const hasTls = (this.#ingress.spec.tls ?? []).some(({ hosts = [] }) => hosts.includes(host));
    return hasTls && (this.#annotations.sslRedirect ?? this.#options.sslRedirect);
  }

  #target(backend: HttpIngressPath["backend"], field: string): Target {
    const target = resolveBackend(this.#ingress.metadata.namespace ?? "default", backend, this.#services);
    if (target.kind === "answer") this.#complain("BackendUnavailable", `${field}: ${target.why}`);
    return target;
  }

  #origin(field: string): Origin {
    const { namespace = "default", name, annotations } = this.#ingress.metadata;
    const source = annotations?.[SOURCE_ANNOTATION];
    return { kind: "Ingress", namespace, name, field, ...(source === undefined ? {} : { source }) };
  }
}

/**
 * Whether a path is a regular expression: with use-regex, or with rewrite-target when it has an operator in it, so that
 * `/wear` with rewrite-target keeps its exact Prefix meaning and `/wear(/|$)(.*)` works as its author means it.
 */
function matchOf(path: HttpIngressPath, annotations: IngressAnnotations): Match {
  if (path.pathType === "Exact") return "exact";
  const operators = /[()[\]*+?|^$\\{}]/.test(path.path ?? "");
  if (annotations.useRegex && (operators || path.pathType === "ImplementationSpecific")) return "regex";
  if (annotations.rewriteTarget !== undefined && operators) return "regex";
  // "/x/" taken as plain text would leave "/x" to nginx's own redirect to "/x/"; by element it is one place.
  return path.pathType === "ImplementationSpecific" && !path.path?.endsWith("/") ? "string" : "prefix";
}

const nameOf = (ingress: Ingress) => `${ingress.metadata.namespace ?? "default"}/${ingress.metadata.name}`;

/** Without regard to a locale. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Oldest first, then by namespace and name. */
function byAge(a: Ingress, b: Ingress): number {
  const age = compareText(a.metadata.creationTimestamp ?? "", b.metadata.creationTimestamp ?? "");
  return age || compareText(nameOf(a), nameOf(b));
}

const rank: Readonly<Record<Match, number>> = { exact: 0, prefix: 1, regex: 2, string: 3 };

/** Exact paths, then longer before shorter ones; of equal length the stricter kind first. */
function byPrecedence(a: Route, b: Route): number {
  const exact = Number(b.match === "exact") - Number(a.match === "exact");
  return exact || b.path.length - a.path.length || rank[a.match] - rank[b.match] || compareText(a.path, b.path);
}
