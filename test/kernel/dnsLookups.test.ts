import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DnsQuery, explainLookup, lookUp, parseResolverSettings, type ServerAnswer } from "#dns/index.ts";
import {
  answerFor,
  CLOSED,
  HOSTS,
  type LookupCase,
  lookupCases,
  type SeenQuery,
  sourceCases,
} from "../support/lookupCases.ts";
import { muslProgram } from "../support/podLookups.ts";

const has = (program: string) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
const programs = { glibc: "getent", musl: "musl-gcc", nslookup: "nslookup", host: "host", dig: "dig" };

let folder: string;
let seen: (SeenQuery[] | null)[];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "podwire-lookups-"));
  const musl = muslProgram(folder);
  writeFileSync(join(folder, "resolv.conf"), "");
  writeFileSync(join(folder, "hosts"), HOSTS);
  writeFileSync(join(folder, "nsswitch.conf"), "hosts: files dns\n");
  const mounts = ["resolv.conf", "hosts", "nsswitch.conf"].map((file) => `mount --bind ${folder}/${file} /etc/${file}`);
  // Nobody answers the mdns sources.
  const hidden = "[ ! -d /run/avahi-daemon ] || mount -t tmpfs none /run/avahi-daemon";
  const script = `set -e; ip link set lo up; ${hidden}; ${mounts.join("; ")}; exec "$@"`;
  const words = [process.execPath, "test/support/dnsLookups.ts", ...(musl === undefined ? [] : [musl])];
  const out = execFileSync("unshare", ["--net", "--mount", "sh", "-c", script, "sh", ...words], {
    timeout: 110_000,
    maxBuffer: 1 << 24,
    encoding: "utf8",
  });
  seen = JSON.parse(out) as (SeenQuery[] | null)[];
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ask = async (server: string, name: string, type: string) => {
  const { address, ...said } = answerFor(name, type, server);
  return { ...said, records: address === undefined ? [] : [address] } satisfies ServerAnswer;
};

/** The explainer's list as it is sent: glibc asks all servers again, BIND's tools one server. */
function sent(queries: readonly DnsQuery[], tool: LookupCase["tool"]): DnsQuery[] {
  if (tool !== "glibc") return queries.flatMap((query) => Array.from({ length: query.times }, () => query));
  const names = Map.groupBy(queries, ({ name }) => name);
  return [...names.values()].flatMap((ofName) =>
    Array.from({ length: Math.max(...ofName.map(({ times }) => times)) }, () => ofName).flat(),
  );
}

/** musl asks all servers at once, for both families: in which order they come, and how often again, is chance. */
function asCompared(queries: readonly SeenQuery[], tool: LookupCase["tool"]): string[] {
  const all = queries.map(({ name, type, server, protocol }) => `${name} ${type} ${protocol} ${server}`);
  return tool === "musl" ? [...new Set(all)].sort() : all;
}

describe("D02 lookups send what the explainer says: servers, order, time-outs, attempts, rotate, search, ndots, [no]fail", () => {
  lookupCases.forEach((one, index) => {
    const { tool, name, resolvConf, words = [] } = one;
    it(`${[tool, ...words].join(" ")} looks up ${name} with ${resolvConf.trim().replaceAll("\n", "; ")}`, async ({
      skip,
    }) => {
      skip(!has(programs[tool]), `no ${programs[tool]} on this machine: lookups by ${tool}`);
      const settings = parseResolverSettings(resolvConf, tool);
      const fail = words.length ? !words.includes("+nofail") : undefined;
      const lists: DnsQuery[][] = [];
      // With rotate glibc begins with any of the servers; the others always with the first.
      for (const firstServer of settings.rotate ? settings.nameservers.keys() : [0]) {
        const options = { firstServer, ...(fail !== undefined && { fail }) };
        const { queries } = await lookUp(name, settings, tool, ask, options);
        // What is sent to a port that nobody has is seen by nobody.
        lists.push(sent(queries, tool).filter(({ server }) => server !== CLOSED));
      }
      const allowed = lists.map((list) => asCompared(list, tool).join("\n"));
      expect(allowed).toContain(asCompared(seen[index] ?? [], tool).join("\n"));
    });
  });
});

describe("D03 glibc goes through the sources of nsswitch.conf as the explainer says", () => {
  sourceCases.forEach((one, index) => {
    const { name, resolvConf, nsswitch } = one;
    it(`${name} with ${nsswitch.trim()}`, async () => {
      const question = {
        name,
        tool: "glibc",
        from: "a test",
        resolvConf,
        hosts: HOSTS,
        nsswitch,
        multicast: false,
      } as const;
      const { lookup } = await explainLookup(question, ask);
      const expected = asCompared(sent(lookup?.queries ?? [], "glibc"), "glibc");
      // mdns4_minimal, where it is installed, asks whether `local` is a zone of unicast DNS.
      const asked = (seen[lookupCases.length + index] ?? []).filter(({ type }) => type !== "SOA");
      expect(asCompared(asked, "glibc")).toEqual(expected);
    });
  });
});
