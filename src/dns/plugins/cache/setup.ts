import type { Setup } from "../../core/index.ts";
import {
  args,
  CorefileError,
  type Directive,
  duration,
  integer,
  readProperties,
  type Token,
  zonesOf,
  zonesOrDefault,
} from "../../corefile/index.ts";
import { type CacheOptions, CachePlugin } from "./handler.ts";
import type { Bounds } from "./store.ts";

type Draft<T> = { -readonly [K in keyof T]: T[K] };

/** CoreDNS' defaults. */
const capacity = 9984;
const maxTtl = 3600;
const maxDenialTtl = 1800;
const minTtl = 5;

/** `cache [TTL] [ZONES...] { … }`; TTL is the longest time in seconds that an answer is kept. */
export const setup: Setup = (directive, { zones, instance, now }) => {
  const [first, ...rest] = directive.args;
  const hasTtl = first !== undefined && /^\d+$/.test(first.text);
  const ttl = hasTtl ? integer(first.text, first, "cache TTL", 1, 0x7fffffff) : undefined;
  const options: Draft<CacheOptions> = {
    zones: zonesOrDefault(hasTtl ? rest : directive.args, zones),
    success: { capacity, maxTtl: ttl ?? maxTtl, minTtl },
    denial: { capacity, maxTtl: ttl ?? maxDenialTtl, minTtl },
    servfailSeconds: 5,
    disabledSuccess: [],
    disabledDenial: [],
    staleMs: 0,
    staleVerify: false,
    prefetch: { amount: 0, windowMs: 60_000, percent: 10 },
    keepTtl: false,
  };
  readProperties(directive, {
    success: (property) => {
      options.success = bounds(property, options.success);
    },
    denial: (property) => {
      options.denial = bounds(property, options.denial);
    },
    servfail: (property) => {
      const ms = duration(args(property, "servfail DURATION", 1)[0] as string, property.at, "servfail");
      if (ms > 300_000) {
        throw new CorefileError(property.at, "caching SERVFAIL responses over 5 minutes is not permitted");
      }
      options.servfailSeconds = ms / 1000;
    },
    disable: (property) => readDisable(property, options),
    serve_stale: (property) => readStale(property, options),
    prefetch: (property) => readPrefetch(property, options),
    keepttl: (property) => {
      args(property, "keepttl", 0);
      options.keepTtl = true;
    },
  });
  return new CachePlugin(options, instance.metrics, now);
};

/** `CAPACITY [TTL [MINTTL]]`. */
function bounds(property: Directive, defaults: Bounds): Bounds {
  const [size, max, min] = args(property, `${property.name} CAPACITY [TTL] [MINTTL]`, 1, 3);
  const number = (text: string, what: string) => integer(text, property.at, what, 0, 0x7fffffff);
  return {
    capacity: integer(size as string, property.at, "capacity", 1, 10_000_000),
    maxTtl: max === undefined ? defaults.maxTtl : number(max, "TTL"),
    minTtl: min === undefined ? defaults.minTtl : number(min, "MINTTL"),
  };
}

/** `disable success|denial [ZONES...]`. */
function readDisable(property: Directive, options: Draft<CacheOptions>): void {
  const [kind, ...zoneTokens] = property.args as [Token | undefined, ...Token[]];
  const zones = zoneTokens.length === 0 ? ["."] : zoneTokens.flatMap((token) => zonesOf(token.text, token));
  if (kind?.text === "success") options.disabledSuccess = zones;
  else if (kind?.text === "denial") options.disabledDenial = zones;
  else throw new CorefileError(property.at, `disable ${kind?.text ?? "of nothing"}; allowed: success, denial`);
}

/** `serve_stale [DURATION] [immediate|verify]`. */
function readStale(property: Directive, options: Draft<CacheOptions>): void {
  const [time, mode] = args(property, "serve_stale [DURATION] [REFRESH_MODE]", 0, 2);
  options.staleMs = time === undefined ? 3_600_000 : duration(time, property.at, "serve_stale");
  if (mode !== undefined && mode !== "immediate" && mode !== "verify") {
    throw new CorefileError(
      property.at,
      `invalid value for serve_stale refresh mode: ${mode}; allowed: immediate, verify`,
    );
  }
  options.staleVerify = mode === "verify";
}

/** `prefetch AMOUNT [DURATION] [PERCENTAGE%]`. */
function readPrefetch(property: Directive, options: Draft<CacheOptions>): void {
  const [amount, time, share] = args(property, "prefetch AMOUNT [DURATION] [PERCENTAGE%]", 1, 3);
  if (share !== undefined && !share.endsWith("%"))
    throw new CorefileError(property.at, `${share}; expected a percentage such as 10%`);
  options.prefetch = {
    amount: integer(amount as string, property.at, "prefetch amount", 0, 0x7fffffff),
    windowMs: time === undefined ? 60_000 : duration(time, property.at, "prefetch"),
    percent: share === undefined ? 10 : integer(share.slice(0, -1), property.at, "percentage", 10, 90),
  };
}
