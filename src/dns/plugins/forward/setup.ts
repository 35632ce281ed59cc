import { Rcode } from "#wire/dns/index.ts";
import type { Setup } from "../../core/index.ts";
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
import { Upstream, type UpstreamOptions, upstreamDefaults } from "./upstream.ts";

const policies: readonly Policy[] = ["random", "round_robin", "sequential"];

/** `forward FROM TO... { … }`: sends queries below FROM to the servers TO. */
export const setup: Setup = (directive, { directory, instance }) => {
  const [fromToken, ...to] = directive.args;
  if (!fromToken || to.length === 0)
    throw new CorefileError(directive.at, "forward without a zone and upstreams; expected: forward FROM TO...");
  const [from] = zonesOf(fromToken.text, fromToken) as [string];
  const targets = readTargets(to, directory);
  const { options, upstream } = readOptions(directive, from);
  return new ForwardPlugin(
    options,
    targets.map((target) => new Upstream(target, upstream)),
    instance.metrics,
  );
};

type Draft<T> = { -readonly [K in keyof T]: T[K] };

function readOptions(
  directive: Directive,
  from: string,
): { readonly options: ForwardOptions; readonly upstream: UpstreamOptions } {
  const upstream: Draft<UpstreamOptions> = { ...upstreamDefaults };
  const except: string[] = [];
  const next = new Set<number>();
  const options: Draft<ForwardOptions> = {
    from,
    except,
    policy: "random",
    forceTcp: false,
    preferUdp: false,
    maxConcurrent: 0,
    failFast: false,
    next,
  };
  readProperties(directive, {
    except: (property) => void except.push(...property.args.flatMap((token) => zonesOf(token.text, token))),
    force_tcp: (property) => {
      args(property, "force_tcp", 0);
      options.forceTcp = true;
    },
    prefer_udp: (property) => {
      args(property, "prefer_udp", 0);
      options.preferUdp = true;
    },
    expire: (property) => {
      upstream.expireMs = duration(oneArg(property, "expire DURATION"), property.at, "expire");
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
    tls: refuseTls,
    tls_servername: refuseTls,
  });
  return { options, upstream };
}

function refuseTls(property: Directive): void {
  throw new CorefileError(property.at, `${property.name}: upstreams over TLS are not supported`);
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
