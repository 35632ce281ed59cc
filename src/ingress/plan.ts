import { type Origin, originText } from "#base/origin.ts";
import type { Target } from "./backend.ts";
import type { IngressModel, Route, VirtualHost } from "./model.ts";
import { httpLines, mainLines } from "./preamble.ts";
import type { Settings } from "./settings.ts";
import { commentText, quote } from "./validate.ts";

/** Where and as whom nginx runs: what the machine decides, not the cluster. */
export interface NginxPlace {
  readonly httpPort: number;
  /** Also listen on IPv6. */
  readonly ipv6: boolean;
  /** The workers' user; absent when nginx is not started as root and cannot change it. */
  readonly user?: string;
  /** Folder for temporary files and the pid file. */
  readonly directory: string;
  /** Where the access log goes; absent for none. */
  readonly accessLog?: string;
  /** Port on 127.0.0.1 that says which configuration is in force. */
  readonly statusPort: number;
}

/** An nginx.conf and the objects behind its lines. */
export interface NginxConfig {
  readonly text: string;
  /** The object behind a line, counted from 1 as nginx counts in its errors. */
  originOf(line: number): Origin | undefined;
}

/** Virtual hosts → nginx configuration. Pure; `revision` is what the status port answers. */
export function renderConfig(
  model: IngressModel,
  settings: Settings,
  place: NginxPlace,
  revision: string,
): NginxConfig {
  const lines: Line[] = [
    ...mainLines(settings, place),
    "http {",
    ...httpLines(settings, place),
    ...statusServer(place, revision),
    ...model.hosts.flatMap((host) => server(host, place)),
    "}",
  ];
  const origins = lines.map((line) => (typeof line === "string" ? undefined : line.origin));
  const text = `${lines.map((line) => (typeof line === "string" ? line : line.text)).join("\n")}\n`;
  return { text, originOf: (line) => origins[line - 1] };
}

/** A line, with the object that it comes from where there is one. */
type Line = string | { readonly text: string; readonly origin: Origin };

function server(host: VirtualHost, place: NginxPlace): Line[] {
  const isDefault = host.host === "_";
  const option = isDefault ? " default_server" : "";
  return [
    "",
    `  ## ${isDefault ? "all other names" : host.host}`,
    "  server {",
    `    server_name ${serverName(host.host)};`,
    `    listen ${place.httpPort}${option};`,
    ...(place.ipv6 ? [`    listen [::]:${place.httpPort}${option};`] : []),
    ...locations(host).flatMap((location) => renderLocation(location)),
    "  }",
  ];
}

/** `*.` takes exactly one label in Kubernetes, any number in nginx' own wildcards: hence an expression. */
function serverName(host: string): string {
  if (!host.startsWith("*.")) return quote(host);
  return quote(`~^[^.]+\\.${host.slice(2).replaceAll(".", "\\.")}$`);
}

/** One `location` of a server. */
interface Location {
  /** What stands between `location` and `{`. */
  readonly selector: string;
  readonly target: Target;
  readonly rewrite?: string;
  readonly httpsOnly: boolean;
  readonly origin: Origin;
}

/**
 * Locations in the order of the model. Without regular expressions nginx picks the longest prefix, which is that order;
 * as soon as there is one, every path but the exact ones becomes an expression, since nginx tries those in file order
 * and before all prefixes.
 */
function locations(host: VirtualHost): Location[] {
  const ordered = host.routes.some((route) => route.match === "regex");
  const exact = new Set(host.routes.filter((route) => route.match === "exact").map((route) => route.path));
  const list = host.routes.flatMap((route) =>
    selectors(route, ordered, exact).map((selector) => location(selector, route)),
  );
  const last: Location = { selector: '"/"', ...host.fallback, httpsOnly: false };
  return list.some((each) => each.selector === last.selector) ? list : [...list, last];
}

function location(selector: string, route: Route): Location {
  const { target, httpsOnly, origin } = route;
  const base = { selector, target, httpsOnly, origin };
  if (route.rewrite === undefined) return base;
  const from = route.match === "regex" ? `(?i)${anchored(route.path)}` : "^";
  return { ...base, rewrite: `rewrite ${quote(from)} ${quote(route.rewrite)} break;` };
}

function selectors(route: Route, ordered: boolean, exact: ReadonlySet<string>): string[] {
  const { match, path } = route;
  switch (match) {
    case "exact":
      // `location = /x/` would make nginx redirect /x to /x/; \z, as $ also matches before a line end.
      return [path.length > 1 && path.endsWith("/") ? `~ ${quote(`^${escapeRegex(path)}\\z`)}` : `= ${quote(path)}`];
    case "regex":
      return [`~* ${quote(anchored(path))}`];
    case "string":
      return [ordered ? `~ ${quote(`^${escapeRegex(path)}`)}` : quote(path)];
    case "prefix":
      if (ordered) return [`~ ${quote(path === "/" ? "^/" : `^${escapeRegex(path)}(?:/|\\z)`)}`];
      if (path === "/") return [quote(path)];
      return [...(exact.has(path) ? [] : [`= ${quote(path)}`]), quote(`${path}/`)];
  }
}

/** From the start of the path; in a group when an alternative could leave it. */
function anchored(expression: string): string {
  return expression.includes("|") ? `^(?:${expression})` : `^${expression}`;
}

function escapeRegex(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function renderLocation(location: Location): Line[] {
  const { origin } = location;
  const body = [
    ...(location.httpsOnly ? ['if ($scheme = "http") { return 308 https://$host$request_uri; }'] : []),
    ...answer(location),
  ];
  return [
    "",
    `    # ${commentText(originText(origin))}`,
    `    location ${location.selector} {`,
    ...body.map((line) => `      ${line}`),
    "    }",
  ].map((text): Line => (text === "" ? text : { text, origin }));
}

function answer({ target, rewrite }: Location): string[] {
  if (target.kind === "answer") {
    // The access log's format names the variable, so that every location sets it.
    return [`# ${commentText(target.why)}`, 'set $proxy_upstream_name "-";', `return ${target.status};`];
  }
  const host = target.address.includes(":") ? `[${target.address}]` : target.address;
  return [
    `set $proxy_upstream_name ${quote(`${target.namespace}-${target.name}-${target.port}`)};`,
    ...(rewrite === undefined ? [] : [rewrite]),
    `proxy_pass http://${host}:${target.port};`,
  ];
}

function statusServer(place: NginxPlace, revision: string): string[] {
  return [
    "",
    "  ## which configuration is in force",
    "  server {",
    `    listen 127.0.0.1:${place.statusPort};`,
    "    access_log off;",
    `    location = /revision { return 200 ${quote(revision)}; }`,
    "    location = /nginx_status { stub_status; }",
    "    location / { return 404; }",
    "  }",
  ];
}
