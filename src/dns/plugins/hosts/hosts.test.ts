import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { eventually, testServers } from "../../testing.ts";

const { start, temporary } = testServers();
const fixture = (name: string) => readFile(new URL(`../../corefile/fixtures/${name}`, import.meta.url), "utf8");

describe("D06 a host made a DNS server with hosts (part: the plugin)", () => {
  it("the notes' Corefile as it is, on another port by -dns.port", async () => {
    const { ask } = await start(await fixture("hosts.Corefile"), { defaultPort: 0 });
    expect((await ask("localhost A"))[1]).toBe("localhost. 3600 IN A 127.0.0.1");
  });

  it("answers both directions, edits take effect, inline entries and fallthrough", async () => {
    const directory = await temporary();
    await writeFile(join(directory, "hosts"), "10.0.0.1 web web.example # comment\nfd00::1 web\nnonsense\n");
    const text =
      ".:0 {\n hosts hosts {\n  10.0.0.9 inline.example\n  ttl 60\n  reload 20ms\n  fallthrough example\n }\n}";
    const { ask } = await start(text, { corefile: join(directory, "Corefile") });
    expect(await ask("web A")).toEqual(["NOERROR", "web. 60 IN A 10.0.0.1"]);
    expect(await ask("WEB AAAA")).toEqual(["NOERROR", "WEB. 60 IN AAAA fd00::1"]);
    expect(await ask("web MX")).toEqual(["NOERROR"]);
    expect(await ask("inline.example A")).toEqual(["NOERROR", "inline.example. 60 IN A 10.0.0.9"]);
    expect(await ask("1.0.0.10.in-addr.arpa PTR")).toEqual([
      "NOERROR",
      "1.0.0.10.in-addr.arpa. 60 IN PTR web.",
      "1.0.0.10.in-addr.arpa. 60 IN PTR web.example.",
    ]);
    expect(await ask("gone A")).toEqual(["SERVFAIL"]);
    await writeFile(join(directory, "hosts"), "10.0.0.2 web\n10.0.0.3 gone\n");
    await eventually(async () => (await ask("gone A")).length === 2);
    expect(await ask("web A")).toEqual(["NOERROR", "web. 60 IN A 10.0.0.2"]);
  });
});
