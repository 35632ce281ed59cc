import { lowerName, type RecordData, type ResourceRecord } from "#wire/dns/index.ts";
import type { Reply } from "../../core/index.ts";
import { type NameRewriter, validName } from "./names.ts";

/** Changes one record of an answer. */
export type RecordRule = (record: ResourceRecord) => ResourceRecord;

/** Writes other owners. */
export function ownerRule(rewrite: NameRewriter): RecordRule {
  return (record) => {
    const name = renamed(record.name, rewrite);
    return name === undefined ? record : { ...record, name };
  };
}

/** Writes other names into the data of records that hold one. */
export function valueRule(rewrite: NameRewriter): RecordRule {
  return (record) => {
    const data = renamedData(record.data, rewrite);
    return data === record.data ? record : { ...record, data };
  };
}

/** Sets TTLs, or keeps them within bounds. Seconds. */
export function ttlRule(min: number, max: number): RecordRule {
  return (record) => ({ ...record, ttl: Math.min(Math.max(record.ttl, min), max) });
}

/** The reply with all of its records changed by the rules, one after the other. */
export function withRules(reply: Reply, rules: readonly RecordRule[]): Reply {
  if (rules.length === 0) return reply;
  const changed = (records: readonly ResourceRecord[]) =>
    records.map((record) => rules.reduce((value, rule) => rule(value), record));
  return {
    ...reply,
    answers: changed(reply.answers),
    authorities: changed(reply.authorities),
    additionals: changed(reply.additionals),
  };
}

function renamed(name: string, rewrite: NameRewriter): string | undefined {
  const result = rewrite(lowerName(name));
  // A name that cannot be sent would lose the client the whole answer.
  return result === undefined ? undefined : validName(result);
}

function renamedData(data: RecordData, rewrite: NameRewriter): RecordData {
  switch (data.kind) {
    case "name":
    case "srv": {
      const target = renamed(data.target, rewrite);
      return target === undefined ? data : { ...data, target };
    }
    case "mx": {
      const exchange = renamed(data.exchange, rewrite);
      return exchange === undefined ? data : { ...data, exchange };
    }
    case "soa": {
      const mname = renamed(data.mname, rewrite);
      return mname === undefined ? data : { ...data, mname };
    }
    case "parts":
      return {
        ...data,
        parts: data.parts.map((part) => (typeof part === "string" ? (renamed(part, rewrite) ?? part) : part)),
      };
    default:
      return data;
  }
}
