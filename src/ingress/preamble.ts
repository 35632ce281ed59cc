import type { NginxPlace } from "./plan.ts";
import type { Settings } from "./settings.ts";
import { quote } from "./validate.ts";

/** The part of nginx.conf outside `http`. One worker: the lab's nodes are small, and its memory counts. */
export function mainLines(settings: Settings, place: NginxPlace): string[] {
  return [
    "# Written by Podwire's ingress controller; the next change of an Ingress overwrites it.",
    "daemon off;",
    ...(place.user === undefined ? [] : [`user ${quote(place.user)};`]),
    "worker_processes 1;",
    `worker_shutdown_timeout ${settings.workerShutdownTimeout}s;`,
    `pid ${quote(`${place.directory}/nginx.pid`)};`,
    "error_log stderr notice;",
    "events {",
    `  worker_connections ${settings.workerConnections};`,
    "  multi_accept on;",
    "}",
  ];
}

/** Headers that the backend gets (ingress-nginx 1.x, the same names and values for an untrusted client). */
const proxyHeaders = [
  "Host $best_host",
  "Upgrade $http_upgrade",
  "Connection $connection_upgrade",
  "X-Request-ID $req_id",
  "X-Real-IP $remote_addr",
  "X-Forwarded-For $remote_addr",
  "X-Forwarded-Host $best_host",
  "X-Forwarded-Port $server_port",
  "X-Forwarded-Proto $scheme",
  "X-Forwarded-Scheme $scheme",
  "X-Scheme $scheme",
  "X-Original-Forwarded-For $http_x_forwarded_for",
  // A client's Proxy header would become HTTP_PROXY in CGI programs (CVE-2016-5385).
  'Proxy ""',
];

/** The access log's columns: upstream's `upstreaminfo`. */
const logFormat =
  '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" ' +
  "$request_length $request_time [$proxy_upstream_name] [] $upstream_addr $upstream_response_length " +
  "$upstream_response_time $upstream_status $req_id";

/** What holds for all servers. Locations set no proxy_set_header of their own, so they inherit these. */
export function httpLines(settings: Settings, place: NginxPlace): string[] {
  const log = settings.accessLog && place.accessLog !== undefined;
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return [
    ...temporary.map((name) => `${name}_temp_path ${quote(`${place.directory}/${name}`)};`),
    `log_format upstreaminfo escape=default '${logFormat}';`,
    log ? `access_log ${quote(place.accessLog ?? "")} upstreaminfo;` : "access_log off;",
    "uninitialized_variable_warn off;",
    "default_type text/html;",
    `server_tokens ${settings.serverTokens ? "on" : "off"};`,
    `keepalive_timeout ${settings.keepAlive}s;`,
    `client_max_body_size ${settings.proxyBodySize};`,
    "server_names_hash_bucket_size 512;",
    "map_hash_bucket_size 128;",
    "tcp_nopush on;",
    "map $http_upgrade $connection_upgrade { default upgrade; '' close; }",
    "map $http_x_request_id $req_id { default $http_x_request_id; '' $request_id; }",
    "map $http_host $best_host { default $http_host; '' $host; }",
    ...proxyHeaders.map((header) => `proxy_set_header ${header};`),
    "proxy_http_version 1.1;",
    "proxy_redirect off;",
    "proxy_buffering off;",
    "proxy_buffer_size 4k;",
    "proxy_buffers 4 4k;",
    `proxy_connect_timeout ${settings.proxyConnectTimeout}s;`,
    `proxy_read_timeout ${settings.proxyReadTimeout}s;`,
    `proxy_send_timeout ${settings.proxySendTimeout}s;`,
  ].map((line) => `  ${line}`);
}
