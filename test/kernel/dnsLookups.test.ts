import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lookUp, parseResolverSettings, type ServerAnswer } from "#dns/index.ts";
import { answerFor, lookupCases, type SeenQuery } from "../support/lookupCases.ts";

const MUSL_SOURCE = `
#include <netdb.h>
#include <sys/socket.h>
int main(int count, char **words) {
  struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
  return getaddrinfo(words[1], 0, &hints, &found) != 0;
}
`;
const has = (program: string) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
const programs = { glibc: "getent", musl: "musl-gcc", nslookup: "nslookup", host: "host", dig: "dig" };

let folder: string;
let seen: (SeenQuery[] | null)[];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "podwire-lookups-"));
  const musl = join(folder, "musl");
  if (has("musl-gcc")) {
    writeFileSync(`${musl}.c`, MUSL_SOURCE);
    execFileSync("musl-gcc", ["-static", "-o", musl, `${musl}.c`]);
  }
  writeFileSync(join(folder, "resolv.conf"), "");
  writeFileSync(join(folder, "hosts"), "127.0.0.1 localhost\n");
  writeFileSync(join(folder, "nsswitch.conf"), "hosts: files dns\n");
  const mounts = ["resolv.conf", "hosts", "nsswitch.conf"].map((file) => `mount --bind ${folder}/${file} /etc/${file}`);
  const script = `set -e; ip link set lo up; ${mounts.join("; ")}; exec "$@"`;
  const words = [process.execPath, "test/support/dnsLookups.ts", ...(has("musl-gcc") ? [musl] : [])];
  const out = execFileSync("unshare", ["--net", "--mount", "sh", "-c", script, "sh", ...words], {
    timeout: 55_000,
    maxBuffer: 1 << 24,
    encoding: "utf8",
  });
  seen = JSON.parse(out) as (SeenQuery[] | null)[];
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Queries in the order of their names; those of a name in any order, since both families are asked at once. */
const inOrder = (queries: readonly SeenQuery[]) => {
  const byName = new Map<string, string[]>();
  for (const { name, type, server } of queries)
    byName.set(name, [...(byName.get(name) ?? []), `${type} ${server}`].sort());
  return [...byName];
};

const ask = async (server: string, name: string, type: string) => {
  const { outcome, address } = answerFor(name, type, server);
  return { outcome, records: address === undefined ? [] : [address] } as ServerAnswer;
};

describe("D02 D05 lookups send what the explainer says (part: one and two servers, search, ndots)", () => {
  lookupCases.forEach(({ tool, name, resolvConf }, index) => {
    it(`${tool} looks up ${name} with ${resolvConf.trim().replaceAll("\n", "; ")}`, async ({ skip }) => {
      skip(!has(programs[tool]), `no ${programs[tool]} on this machine: lookups by ${tool}`);
      const { queries } = await lookUp(name, parseResolverSettings(resolvConf, tool), tool, ask);
      const said = queries.flatMap((query) => Array.from({ length: query.times }, () => query));
      // Of two servers musl asks the failing one again until the other has answered: how often is chance.
      const races = tool === "musl" && resolvConf.split("nameserver").length > 2;
      const all = (queries: readonly SeenQuery[]) =>
        races ? inOrder(queries).map(([full, sent]) => [full, [...new Set(sent)]]) : inOrder(queries);
      expect(all(seen[index] ?? [])).toEqual(all(said));
    });
  });
});
