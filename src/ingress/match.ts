import type { IngressModel, Route, VirtualHost } from "./model.ts";

/** What happens to a request. */
export interface Decision {
  readonly host: VirtualHost;
  /** Absent: the host's fallback answers. */
  readonly route?: Route;
  /** The path that the backend sees. */
  readonly path: string;
}

/**
 * The virtual host that a Host header selects: the very name, else a wildcard with one label in place of `*`, else "_".
 * A port and a dot at the end do not count (as in nginx).
 */
export function selectHost(model: IngressModel, header: string): VirtualHost {
  const name = header.replace(/:\d*$/, "").replace(/\.$/, "").toLowerCase();
  const wildcard = name.replace(/^[^.]+\./, "*.");
  const by = (host: string) => model.hosts.find((each) => each.host === host);
  const found = by(name) ?? by(wildcard) ?? by("_");
  if (!found) throw new Error("an ingress model without a catch-all host");
  return found;
}

/**
 * Predicts where a request goes, without nginx: the same table of requests is run through this and through a real
 * nginx in the tests. `path` is the request's, without the query.
 */
export function decide(model: IngressModel, request: { readonly host: string; readonly path: string }): Decision {
  const host = selectHost(model, request.host);
  const path = normalizePath(request.path);
  const route = host.routes.find((each) => routeMatches(each, path));
  if (!route) return { host, path };
  return { host, route, path: rewritten(route, path) };
}

/** Decodes, merges slashes and resolves dots as nginx does before it compares (ngx_http_parse_complex_uri). */
export function normalizePath(raw: string): string {
  const out: string[] = [];
  const segments = safeDecode(raw).replaceAll(/\/+/g, "/").slice(1).split("/");
  segments.forEach((segment, index) => {
    const last = index === segments.length - 1;
    if (segment === "..") out.pop();
    if (segment === "." || segment === "..") {
      if (last) out.push("");
    } else out.push(segment);
  });
  return `/${out.join("/")}`;
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function routeMatches(route: Route, path: string): boolean {
  switch (route.match) {
    case "exact":
      return path === route.path;
    case "prefix":
      return route.path === "/" || path === route.path || path.startsWith(`${route.path}/`);
    case "string":
      return path.startsWith(route.path);
    case "regex":
      return expression(route).test(path);
  }
}

function expression(route: Route): RegExp {
  return new RegExp(`^(?:${route.path})`, "i");
}

function rewritten(route: Route, path: string): string {
  if (route.rewrite === undefined) return path;
  const groups = route.match === "regex" ? (expression(route).exec(path) ?? []) : [];
  const uri = route.rewrite.replaceAll(/\$([1-9])/g, (_, digit: string) => groups[Number(digit)] ?? "");
  return uri.replace(/\?.*$/s, "");
}
