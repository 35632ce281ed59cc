import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ConfigMap, Pod, Service } from "#api/index.ts";
import { readManifests } from "#lab/manifests/index.ts";
import { consoleBlocks, outputMatches } from "#test/docs/console.ts";

const hasDig = spawnSync("sh", ["-c", "command -v dig"]).status === 0;
const objects = readManifests("examples/delegation", ".");
const of = <T>(kind: string) => objects.filter((object) => object.kind === kind) as T[];
/** What the README has the client run, without the way into its pod. */
const steps = consoleBlocks(readFileSync("examples/delegation/README.md", "utf8"))
  .flatMap((block) => block.steps)
  .filter(({ command }) => command.includes("-- dig"))
  .map(({ command, expected }) => ({ command: command.slice(command.indexOf("dig ")), expected }));

let folder: string;
let outputs: string[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "podwire-walk-"));
  if (!hasDig) return;
  const addresses = new Map(of<Service>("Service").map(({ metadata, spec }) => [metadata.name, spec.clusterIP ?? ""]));
  // The three servers as one process, each block at its server's own address.
  const blocks = of<ConfigMap>("ConfigMap").map(({ metadata: { name }, data = {} }) => {
    writeFileSync(join(folder, `db.${name}`), data["db"] ?? "");
    return (data["Corefile"] ?? "")
      .replace("{\n", `{\n bind ${addresses.get(name)}\n`)
      .replace("file db", `file db.${name}`);
  });
  writeFileSync(join(folder, "Corefile"), blocks.join("\n"));
  const client = of<Pod>("Pod").find(({ metadata }) => metadata.name === "client");
  const aliases = (client?.spec.hostAliases ?? []).map(({ ip, hostnames = [] }) => `${ip} ${hostnames.join(" ")}\n`);
  writeFileSync(join(folder, "hosts"), `127.0.0.1 localhost\n${aliases.join("")}`);
  const links = [...addresses.values()].map((address) => `ip addr add ${address}/32 dev lo`);
  const script = `set -e; ip link set lo up; ${links.join("; ")}; mount --bind ${folder}/hosts /etc/hosts; exec "$@"`;
  const words = [process.execPath, "test/support/dnsWalk.ts", join(folder, "Corefile")];
  const all = ["--net", "--mount", "sh", "-c", script, "sh", ...words, ...steps.map(({ command }) => command)];
  outputs = JSON.parse(
    execFileSync("unshare", all, { timeout: 55_000, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }),
  ) as string[];
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("D04 root, top-level and authoritative servers walked by dig +trace (part: servers in one namespace)", () => {
  steps.forEach(({ command, expected }, index) => {
    it(command, ({ skip }) => {
      skip(!hasDig, "no dig on this machine");
      expect(outputMatches(expected, outputs[index] ?? ""), outputs[index]).toBe(true);
    });
  });
});
