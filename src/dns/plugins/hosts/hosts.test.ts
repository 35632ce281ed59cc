import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { testBlock } from "../../plugins/testBlock.ts";
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

  it("a name that is there without such an address is no case for fallthrough; PTR always is", async () => {
    const { ask } = await testBlock(`. {
 hosts nofile example {
  10.0.0.1 web.example web.other
  10.0.0.2 outside.other
  fallthrough
 }
 whoami
}`);
    // whoami behind it adds records to the additional section.
    const byNext = async (question: string) => (await ask(question))?.additionals.length !== 0;
    for (const own of ["web.example. AAAA", "web.example. MX"]) expect(await byNext(own), own).toBe(false);
    for (const other of ["gone.example. A", "web.other. A", "9.0.0.10.in-addr.arpa. PTR", "web.example. PTR"])
      expect(await byNext(other), other).toBe(true);
    expect(await byNext("2.0.0.10.in-addr.arpa. PTR")).toBe(true); // its only name lies in no zone of the plugin
    const reply = await ask("1.0.0.10.in-addr.arpa. PTR");
    expect(reply?.answers.map(({ data }) => data.kind === "name" && data.target)).toEqual(["web.example."]);
  });

  it("what was read last stays in use while the file cannot be read", async () => {
    const directory = await temporary();
    const file = join(directory, "hosts");
    await writeFile(file, "10.0.0.1 web\n");
    const text = ".:0 {\n hosts hosts {\n  reload 20ms\n }\n}";
    const { ask, lines } = await start(text, { corefile: join(directory, "Corefile") });
    await rm(file);
    await eventually(() => lines.some((line) => line.includes("cannot be read; its last content stays in use")));
    expect(await ask("web A")).toEqual(["NOERROR", "web. 3600 IN A 10.0.0.1"]);
    await writeFile(file, "10.0.0.2 web\n");
    await eventually(async () => (await ask("web A"))[1] === "web. 3600 IN A 10.0.0.2");
  });
});
