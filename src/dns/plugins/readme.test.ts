import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { createLogger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import { configure } from "../configuration.ts";
import type { Instance } from "../core/index.ts";
import { parseCorefile } from "../corefile/index.ts";
import { testServers } from "../testing.ts";
import { pluginOrder } from "./order.ts";

const { temporary } = testServers();

/** Corefiles of a README, with the line that each begins at. */
function examples(name: string): { readonly line: number; readonly text: string }[] {
  const text = readFileSync(new URL(`./${name}/README.md`, import.meta.url), "utf8");
  return [...text.matchAll(/^```corefile\n([\s\S]*?)^```$/gm)].map((match) => ({
    line: text.slice(0, match.index).split("\n").length,
    text: match[1] as string,
  }));
}

/** `proxy` stands in the README of forward. */
const folders = pluginOrder.map(({ name }) => name).filter((name) => name !== "proxy");
const all = folders.flatMap((name) => examples(name).map(({ line, text }) => [name, line, text] as const));

describe("X03 the plugins' READMEs (part: every example loads)", () => {
  it.each(all)("%s, line %i", async (name, _line, text) => {
    const directory = await temporary();
    await mkdir(`${directory}/etc`);
    for (const zone of ["example.org", "example.net"]) {
      await writeFile(`${directory}/db.${zone}`, "@ 60 SOA ns host 1 2 3 4 5\n");
    }
    await writeFile(`${directory}/my-resolv.conf`, "search example.org\n");
    const log = createLogger("dns", { write: () => {} });
    const instance = { metrics: new Metrics() } as Instance;
    const deps = { log, defaultPort: 53, directory, environment: {}, instance, now: () => 0 };
    const sites = await configure(parseCorefile("README", text), deps);
    expect(sites.flatMap(({ plugins }) => plugins.map((plugin) => plugin.name))).toContain(name);
  });

  it("every plugin has one, which shows it at work", () => {
    expect(new Set(all.map(([name]) => name))).toEqual(new Set(folders));
  });

  it("every property that a setup reads is named in its README", () => {
    for (const name of folders) {
      const readme = readFileSync(new URL(`./${name}/README.md`, import.meta.url), "utf8");
      const source = readFileSync(
        new URL(`./${name}/${name === "kubernetes" ? "directive" : "setup"}.ts`, import.meta.url),
        "utf8",
      );
      const read = [...source.matchAll(/^ {4}([a-zA-Z_]+): \(property\)/gm)].map((match) => match[1] as string);
      for (const property of read) {
        expect(readme, `${property} of ${name}`).toContain(property);
      }
    }
  });
});
