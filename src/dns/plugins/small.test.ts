import { hostname } from "node:os";
import { describe, expect, it } from "vitest";
import { type EdnsOption, formatRecord, RecordClass } from "#wire/dns/index.ts";
import { edns, refusal, shown, testBlock } from "./testBlock.ts";

const option = (code: number): EdnsOption => ({ code, data: new Uint8Array(0) });

describe("whoami, any, chaos", () => {
  it("whoami tells address, port and protocol in the additional section", async () => {
    const { ask } = await testBlock(". {\n whoami\n}");
    const answer = await ask("example.org. A");
    expect(answer?.authoritative).toBe(true);
    expect(answer?.additionals.map(formatRecord)).toEqual([
      "example.org. 0 IN A 192.0.2.9",
      "_udp.example.org. 0 IN SRV 0 0 4000 .",
    ]);
    const six = await ask(". A", { from: "2001:db8::9", protocol: "tcp" });
    expect(six?.additionals.map(formatRecord)).toEqual([". 0 IN AAAA 2001:db8::9", "_tcp. 0 IN SRV 0 0 4000 ."]);
  });

  it("any answers ANY with HINFO (RFC 8482)", async () => {
    const { ask } = await testBlock(". {\n any\n whoami\n}");
    expect(shown(await ask("example.org. ANY"))).toEqual([
      "NOERROR",
      'example.org. 8482 IN HINFO "ANY obsoleted" "See RFC 8482"',
    ]);
    expect(shown(await ask("example.org. A"))).toEqual(["NOERROR"]);
  });

  it("chaos answers in class CH, which is refused without it", async () => {
    const { ask } = await testBlock(". {\n chaos Server-1 second@example first@example\n whoami\n}");
    const ch = { recordClass: RecordClass.CH };
    expect(shown(await ask("version.bind. TXT", ch))).toEqual(["NOERROR", 'version.bind. 0 CH TXT "Server-1"']);
    expect(shown(await ask("authors.bind. TXT", ch))).toEqual([
      "NOERROR",
      'authors.bind. 0 CH TXT "first@example"',
      'authors.bind. 0 CH TXT "second@example"',
    ]);
    expect(shown(await ask("hostname.bind. TXT", ch))?.[1]).toBe(`hostname.bind. 0 CH TXT "${hostname()}"`);
    expect(shown(await (await testBlock(". {\n whoami\n}")).ask("version.bind. TXT", ch))).toEqual(["REFUSED"]);
  });
});

describe("nsid, bufsize, header, minimal", () => {
  it("nsid only when it is asked for", async () => {
    const { ask } = await testBlock(". {\n nsid Use The Force\n whoami\n}");
    const [told] = (await ask("a. A", { edns: edns(1232, option(3)) }))?.edns?.options ?? [];
    expect([told?.code, Buffer.from(told?.data ?? []).toString()]).toEqual([3, "Use The Force"]);
    expect((await ask("a. A", { edns: edns(1232) }))?.edns?.options).toEqual([]);
    expect((await ask("a. A"))?.edns).toBeUndefined();
  });

  it("bufsize bounds answers over UDP and leaves TCP alone", async () => {
    const answers = Array.from({ length: 40 }, (_, i) => ` answer "{{ .Name }} 60 IN A 192.0.2.${i}"`).join("\n");
    const { ask } = await testBlock(`. {\n bufsize 512\n template IN A {\n${answers}\n }\n}`);
    const cut = await ask("a.example. A", { edns: edns(4096) });
    expect([cut?.truncated, (cut?.answers.length ?? 99) < 40]).toEqual([true, true]);
    expect((await ask("a.example. A", { edns: edns(4096), protocol: "tcp" }))?.answers).toHaveLength(40);
    expect(await refusal(". {\n bufsize 511\n}")).toContain("Corefile:2: bufsize");
  });

  it("header sets and clears flags of queries and answers", async () => {
    const { ask } = await testBlock(". {\n header {\n  response set ra\n  clear aa\n  query clear rd\n }\n whoami\n}");
    const answer = await ask("a. A");
    expect([answer?.recursionAvailable, answer?.authoritative, answer?.recursionDesired]).toEqual([true, false, true]);
    expect(
      (await testBlock(". {\n header {\n  clear rd\n }\n whoami\n}").then(({ ask }) => ask("a. A")))?.recursionDesired,
    ).toBe(false);
    for (const [line, message] of [
      ["answer set aa", "invalid selector=answer should be query or response"],
      ["query set", "invalid length for flags, at least one should be provided"],
      ["query", "no flag action provided"],
      ["response toggle aa", "unknown flag action=toggle, should be set or clear"],
      ["response set zz", "unknown/unsupported flag=zz"],
    ]) {
      expect(await refusal(`. {\n header {\n  ${line}\n }\n}`)).toBe(`Corefile:3: setting up rule: ${message}`);
    }
  });

  it("minimal keeps what a denial needs", async () => {
    const template = (more: string) =>
      `. {\n minimal\n template IN A {\n authority "example. 60 IN SOA a. b. (1 2 3 4 5)"\n${more} }\n}`;
    const positive = await testBlock(template('  answer "{{ .Name }} 60 IN A 192.0.2.1"\n'));
    expect(shown(await positive.ask("a.example. A"))).toEqual(["NOERROR", "a.example. 60 IN A 192.0.2.1"]);
    const negative = await testBlock(template("  rcode NXDOMAIN\n"));
    expect(shown(await negative.ask("a.example. A"))).toEqual(["NXDOMAIN", "ns example. 60 IN SOA a. b. 1 2 3 4 5"]);
  });
});

describe("local", () => {
  it.each([
    ["localhost. A", ["NOERROR", "localhost. 604800 IN A 127.0.0.1"]],
    ["localhost. AAAA", ["NOERROR", "localhost. 604800 IN AAAA ::1"]],
    ["localhost.example.org. A", ["NOERROR", "localhost.example.org. 604800 IN A 127.0.0.1"]],
    ["localhost. NS", ["NOERROR", "localhost. 604800 IN NS localhost."]],
    ["1.0.0.127.in-addr.arpa. PTR", ["NOERROR", "1.0.0.127.in-addr.arpa. 604800 IN PTR localhost."]],
    [
      "2.0.0.127.in-addr.arpa. PTR",
      ["NXDOMAIN", "ns 127.in-addr.arpa. 604800 IN SOA localhost. root.localhost. 1 0 0 0 604800"],
    ],
    ["0.in-addr.arpa. A", ["NOERROR", "ns 0.in-addr.arpa. 604800 IN SOA localhost. root.localhost. 1 0 0 0 604800"]],
    ["localhost. MX", ["NOERROR", "ns localhost. 604800 IN SOA localhost. root.localhost. 1 0 0 0 604800"]],
    ["example.org. A", ["NOERROR"]],
  ])("%s", async (question, expected) => {
    expect(shown(await (await testBlock(". {\n local\n whoami\n}")).ask(question))).toEqual(expected);
  });
});
