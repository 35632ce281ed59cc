import { resolve } from "node:path";
import { errorMessage } from "#base/errors.ts";
import type { Metrics } from "#base/metrics.ts";
import { Rcode } from "#wire/dns/index.ts";
import type { Setup, SetupContext } from "../../core/index.ts";
import {
  args,
  CorefileError,
  canonicalName,
  type Directive,
  duration,
  integer,
  oneArg,
  readProperties,
  zonesOf,
} from "../../corefile/index.ts";
import { type ForwardOptions, ForwardPlugin, type Policy } from "./handler.ts";
import { readTargets } from "./targets.ts";
import type { TlsFiles } from "./tcpPool.ts";
import { Upstream, type UpstreamCounters, type UpstreamOptions, upstreamDefaults } from "./upstream.ts";

const policies: readonly Policy[] = ["random", "round_robin", "sequential"];

/** `forward FROM TO... { … }`: sends queries below FROM to the servers TO. */
export const setup: Setup = (directive, context) => {
  const { instance, siblings } = context;
  const [fromToken, ...to] = directive.args;
  if (!fromToken || to.length === 0)
    throw new CorefileError(directive.at, "forward without a zone and upstreams; expected: forward FROM TO...");
  const [from] = zonesOf(fromToken.text, fromToken) as [string];
  const targets = readTargets(to, context);
  const { options, upstream } = readOptions(directive, from, context);
  if (upstream.tls.servername !== undefined && targets.some(({ tls }) => tls?.servername !== undefined)) {
    throw new CorefileError(
      directive.at,
      "tls_servername and names of upstreams (tls://ADDRESS%NAME) exclude each other",
    );
  }
  const counters = upstreamCounters(instance.metrics);
  return new ForwardPlugin(
    options,
    targets.map((target) => new Upstream(target, upstream, counters)),
    instance.metrics,
    (self) => {
      const plugins = siblings();
      return plugins.slice(plugins.indexOf(self) + 1).some((plugin) => plugin instanceof ForwardPlugin);
    },
  );
};

function upstreamCounters(metrics: Metrics): UpstreamCounters {
  const labels = { proxy_name: "forward" };
  const failures = metrics.counter(
    "coredns_proxy_healthcheck_failures_total",
    "Counter of the number of failed healthchecks.",
  );
  const hits = metrics.counter(
    "coredns_proxy_conn_cache_hits_total",
    "Counter of connection cache hits per upstream and protocol.",
  );
  const misses = metrics.counter(
    "coredns_proxy_conn_cache_misses_total",
    "Counter of connection cache misses per upstream and protocol.",
  );
  return {
    failed: (to) => failures.inc({ ...labels, to }),
    connection: (to, proto, kept) => (kept ? hits : misses).inc({ ...labels, to, proto }),
  };
}

type Draft<T> = { -readonly [K in keyof T]: T[K] };

function readOptions(
  directive: Directive,
  from: string,
  context: SetupContext,
): { readonly options: ForwardOptions; readonly upstream: UpstreamOptions } {
  const upstream: Draft<UpstreamOptions> = { ...upstreamDefaults };
  const except: string[] = [];
  const next = new Set<number>();
  const failover = new Set<number>();
  const options: Draft<ForwardOptions> = {
    from,
    except,
    policy: "random",
    forceTcp: false,
    preferUdp: false,
    maxConcurrent: 0,
    failFast: false,
    next,
    nextOnNodata: false,
    failover,
    maxAttempts: 0,
  };
  readProperties(directive, {
    except: (property) => void except.push(...property.args.flatMap((token) => zonesOf(token.text, token))),
    force_tcp: (property) => {
      args(property, "force_tcp", 0);
      options.forceTcp = true;
      upstream.checkProtocol = "tcp";
    },
    prefer_udp: (property) => {
      args(property, "prefer_udp", 0);
      options.preferUdp = true;
    },
    expire: (property) => {
      upstream.expireMs = duration(oneArg(property, "expire DURATION"), property.at, "expire");
    },
    max_age: (property) => {
      upstream.maxAgeMs = duration(oneArg(property, "max_age DURATION"), property.at, "max_age");
    },
    max_fails: (property) => {
      upstream.maxFails = integer(oneArg(property, "max_fails N"), property.at, "max_fails", 0, 0xffffffff);
    },
    max_concurrent: (property) => {
      options.maxConcurrent = integer(oneArg(property, "max_concurrent N"), property.at, "max_concurrent", 0, 1e9);
    },
    health_check: (property) => readHealthCheck(property, upstream),
    policy: (property) => {
      const text = oneArg(property, "policy random|round_robin|sequential");
      const policy = policies.find((known) => known === text);
      if (!policy) throw new CorefileError(property.at, `policy ${text}; allowed: ${policies.join(", ")}`);
      options.policy = policy;
    },
    next: (property) => {
      for (const token of property.args) next.add(rcode(token.text, token));
    },
    failfast_all_unhealthy_upstreams: (property) => {
      args(property, "failfast_all_unhealthy_upstreams", 0);
      options.failFast = true;
    },
    next_on_nodata: (property) => {
      args(property, "next_on_nodata", 0);
      options.nextOnNodata = true;
    },
    failover: (property) => {
      for (const token of property.args) {
        const code = rcode(token.text, token);
        if (code === Rcode.NOERROR) throw new CorefileError(token, "NOERROR cannot be used in failover");
        failover.add(code);
      }
    },
    max_connect_attempts: (property) => {
      const text = oneArg(property, "max_connect_attempts N");
      options.maxAttempts = integer(text, property.at, "max_connect_attempts", 0, 0xffffffff);
    },
    max_idle_conns: (property) => {
      upstream.maxIdle = integer(oneArg(property, "max_idle_conns N"), property.at, "max_idle_conns", 0, 1024);
    },
    tls: (property) => {
      upstream.tls = { ...upstream.tls, ...tlsFiles(property, context) };
    },
    tls_servername: (property) => {
      upstream.tls = { ...upstream.tls, servername: oneArg(property, "tls_servername NAME") };
    },
    doh_method: notThere,
    resolver: notThere,
  });
  return { options, upstream };
}

function notThere(property: Directive): void {
  throw new CorefileError(property.at, `${property.name} of forward is not there`);
}

/** `tls`, `tls CA`, `tls CERT KEY`, `tls CERT KEY CA`. */
function tlsFiles(property: Directive, { directory, readText }: SetupContext): TlsFiles {
  const texts = args(property, "tls [CERT KEY] [CA]", 0, 3).map((name) => {
    try {
      return readText(resolve(directory, name));
    } catch (error) {
      throw new CorefileError(property.at, `tls: ${errorMessage(error)}`);
    }
  });
  if (texts.length === 1) return { ca: texts[0] as string };
  const [cert, key, ca] = texts;
  return { ...(cert !== undefined && { cert }), ...(key !== undefined && { key }), ...(ca !== undefined && { ca }) };
}

/** `health_check DURATION [no_rec] [domain FQDN]`. */
function readHealthCheck(property: Directive, upstream: Draft<UpstreamOptions>): void {
  const [interval, ...rest] = args(property, "health_check DURATION [no_rec] [domain FQDN]", 1, 4) as [
    string,
    ...string[],
  ];
  upstream.checkMs = duration(interval, property.at, "health_check");
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "no_rec") upstream.checkRecursion = false;
    else if (word === "domain" && rest.length > 0) upstream.checkDomain = canonicalName(rest.shift() as string);
    else throw new CorefileError(property.at, `health_check option ${word}; allowed: no_rec, domain FQDN`);
  }
}

function rcode(text: string, at: CorefileError["at"]): number {
  const known = Object.entries(Rcode).find(([name]) => name === text.toUpperCase());
  if (!known) throw new CorefileError(at, `rcode ${text}; allowed: ${Object.keys(Rcode).join(", ")}`);
  return known[1];
}
