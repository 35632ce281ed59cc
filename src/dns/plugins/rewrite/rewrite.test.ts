import { describe, expect, it } from "vitest";
import type { Message } from "#wire/dns/index.ts";
import { testServers } from "../../testing.ts";
import { edns, refusal, shown, testBlock } from "../testBlock.ts";

const { start, upstream } = testServers();

/** What the plugins behind the rules were asked, as the template below tells it, and the answer's records. */
const behind = `
 template ANY ANY {
  answer "{{ .Name }} 60 IN A 192.0.2.1"
  authority "q. 60 {{ .Class }} TXT {{ .Name }} {{ .Type }}"
 }
}`;
const rewritten = async (rules: string, question: string) =>
  shown(await (await testBlock(`. {\n${rules}\n${behind}`)).ask(question));

describe("rewrite name", () => {
  it.each<[string, string, string]>([
    ["rewrite name example.org example.net", "example.org. A", "example.net."],
    ["rewrite name exact Example.org. example.net", "EXAMPLE.org. A", "example.net."],
    ["rewrite name prefix www. ftp.", "www.example.org. A", "ftp.example.org."],
    ["rewrite name suffix .schmoogle.com. .google.com.", "mail.schmoogle.com. A", "mail.google.com."],
    [
      "rewrite name substring service.us-west-1.example.org service.us-west-1.consul",
      "ftp.service.us-west-1.example.org. A",
      "ftp.service.us-west-1.consul.",
    ],
    [
      "rewrite name regex (.*)-(us-west-1)\\.example\\.org {1}.service.{2}.consul",
      "ftp-us-west-1.example.org. A",
      "ftp.service.us-west-1.consul.",
    ],
    ["rewrite name example.org example.net", "www.example.org. A", "www.example.org."],
    // the first rule that fits ends it, unless it says continue
    ["rewrite name a.test b.test\nrewrite name b.test c.test", "a.test. A", "b.test."],
    [
      "rewrite continue name a.test b.test\nrewrite stop name b.test c.test\nrewrite name c.test d.test",
      "a.test. A",
      "c.test.",
    ],
  ])("%s: %s", async (rule, question, name) => {
    const answer = await rewritten(rule, question);
    expect(answer?.at(-1)).toBe(`ns q. 60 IN TXT "${name}" "A"`);
    const message = await (await testBlock(`. {\n${rule}\n whoami\n}`)).ask(question);
    expect(message?.questions[0]?.name).toBe(question.slice(0, -2)); // invisible to the client
  });

  it("exact rules turn names of the answer back; others only when told", async () => {
    expect(await rewritten("rewrite name a.test b.test", "A.test. A")).toEqual([
      "NOERROR",
      "A.test. 60 IN A 192.0.2.1",
      'ns q. 60 IN TXT "b.test." "A"',
    ]);
    expect(await rewritten("rewrite name prefix a. b.", "a.test. A")).toEqual([
      "NOERROR",
      "b.test. 60 IN A 192.0.2.1",
      'ns q. 60 IN TXT "b.test." "A"',
    ]);
    const chain = "rewrite continue name a.test b.test\nrewrite name b.test c.test";
    expect((await rewritten(chain, "a.test. A"))?.[1]).toBe("a.test. 60 IN A 192.0.2.1");
    expect((await rewritten("rewrite name prefix a. b. answer auto", "a.test. A"))?.[1]).toBe(
      "a.test. 60 IN A 192.0.2.1",
    );
    expect((await rewritten("rewrite name suffix .one.test. .two.test. answer auto", "x.one.test. A"))?.[1]).toBe(
      "x.one.test. 60 IN A 192.0.2.1",
    );
    const block = `rewrite stop {
        name regex (.*)-(us-west-1)\\.coredns\\.rocks {1}.service.{2}.consul
        answer name (.*)\\.service\\.(us-west-1)\\.consul {1}-{2}.coredns.rocks
    }`;
    expect((await rewritten(block, "ftp-us-west-1.coredns.rocks. A"))?.[1]).toBe(
      "ftp-us-west-1.coredns.rocks. 60 IN A 192.0.2.1",
    );
  });

  it("answer value changes what records point at", async () => {
    const { ask } = await testBlock(`. {
 rewrite name suffix .one.test. .two.test. answer auto answer value (.*)\\.inner\\. {1}.outer.
 template IN SRV {
  answer "{{ .Name }} 60 IN SRV 1 2 3 host.two.test."
  answer "{{ .Name }} 60 IN SRV 1 2 3 host.inner."
 }
}`);
    expect(shown(await ask("_s.one.test. SRV"))?.slice(1)).toEqual([
      "_s.one.test. 60 IN SRV 1 2 3 host.one.test.",
      "_s.one.test. 60 IN SRV 1 2 3 host.outer.",
    ]);
  });

  it("fails a query whose new name is none", async () => {
    expect(await rewritten(`rewrite name regex (.*)\\.long\\.test\\. {1}.${"x".repeat(64)}`, "a.long.test. A")).toEqual(
      ["SERVFAIL"],
    );
  });
});

describe("rewrite type, class, ttl, rcode", () => {
  it.each<[string, string, string[]]>([
    [
      "rewrite type ANY HINFO",
      "a.test. ANY",
      ["NOERROR", "a.test. 60 IN A 192.0.2.1", 'ns q. 60 IN TXT "a.test." "HINFO"'],
    ],
    ["rewrite ttl a.test 15", "a.test. A", ["NOERROR", "a.test. 15 IN A 192.0.2.1", 'ns q. 15 IN TXT "a.test." "A"']],
    [
      "rewrite ttl suffix .test 90-",
      "a.test. A",
      ["NOERROR", "a.test. 90 IN A 192.0.2.1", 'ns q. 90 IN TXT "a.test." "A"'],
    ],
    [
      "rewrite ttl suffix .test -30",
      "a.test. A",
      ["NOERROR", "a.test. 30 IN A 192.0.2.1", 'ns q. 30 IN TXT "a.test." "A"'],
    ],
    [
      "rewrite continue {\n ttl regex (.*)\\.test 30-45\n}",
      "a.test. A",
      ["NOERROR", "a.test. 45 IN A 192.0.2.1", 'ns q. 45 IN TXT "a.test." "A"'],
    ],
    [
      "rewrite rcode a.test NOERROR NXDOMAIN",
      "a.test. A",
      ["NXDOMAIN", "a.test. 60 IN A 192.0.2.1", 'ns q. 60 IN TXT "a.test." "A"'],
    ],
    [
      "rewrite rcode suffix .test SERVFAIL NXDOMAIN",
      "a.test. A",
      ["NOERROR", "a.test. 60 IN A 192.0.2.1", 'ns q. 60 IN TXT "a.test." "A"'],
    ],
  ])("%s", async (rule, question, expected) => {
    expect(await rewritten(rule, question)).toEqual(expected);
  });

  it("class CH to IN, where the class is served at all", async () => {
    const { ask } = await testBlock(". {\n rewrite class CH IN\n chaos\n whoami\n}");
    expect(shown(await ask("a.test. A", { recordClass: 3 }))).toEqual(["NOERROR"]);
  });

  it("cname: another target, and what it leads to", async () => {
    const { ask } = await testBlock(`. {
 rewrite cname exact old.test. new.test.
 template IN A www.test {
  answer "www.test. 60 IN CNAME old.test."
 }
 template IN A new.test {
  answer "new.test. 60 IN A 192.0.2.7"
 }
 template IN A old.test {
  answer "old.test. 60 IN A 192.0.2.6"
 }
}`);
    expect(shown(await ask("www.test. A"))).toEqual([
      "NOERROR",
      "www.test. 60 IN CNAME new.test.",
      "new.test. 60 IN A 192.0.2.7",
    ]);
  });
});

describe("rewrite edns0", () => {
  /** Options of the query that an upstream gets. */
  const optionsOf = async (rule: string, ask: Message["edns"]): Promise<string[]> => {
    const source = await upstream((asked) => ({ ...asked, response: true, edns: undefined as never }));
    const { server } = await start(`.:0 {\n ${rule}\n forward . 127.0.0.1:${source.port}\n}`);
    const { exchangeBytes } = await import("../../testing.ts");
    const { encodeMessage, query } = await import("#wire/dns/index.ts");
    await exchangeBytes(
      server.listening()[0]?.port ?? 0,
      encodeMessage(query(1, { name: "a.test.", type: 1, class: 1 }, ask)),
    );
    return (
      source.asked[0]?.edns?.options.map(
        ({ code, data }) => `${code.toString(16)} ${Buffer.from(data).toString("hex")}`,
      ) ?? []
    );
  };
  it.each<[string, string[]]>([
    ["rewrite edns0 local set 0xffee 0x61626364", ["ffee 61626364"]],
    ["rewrite edns0 local set 0xffee abcd", ["ffee 61626364"]],
    ["rewrite edns0 local set 0xffee {qname}", [`ffee ${Buffer.from("a.test.").toString("hex")}`]],
    ["rewrite edns0 local set 0xffee {client_ip}", ["ffee 7f000001"]],
    ["rewrite edns0 local replace 0xffee abcd", []],
    ["rewrite edns0 local set 0xffee {no/label}", []],
    ["rewrite edns0 nsid set", ["3 "]],
    ["rewrite edns0 subnet set 20 56", ["8 000114007f0000"]],
  ])("%s", async (rule, expected) => {
    expect(await optionsOf(rule, undefined)).toEqual(expected);
  });
  it("append, replace and unset look at what is there", async () => {
    const asked = edns(1232, { code: 0xffee, data: Uint8Array.of(1) });
    expect(await optionsOf("rewrite edns0 local append 0xffee abcd", asked)).toEqual(["ffee 01"]);
    expect(await optionsOf("rewrite edns0 local replace 0xffee abcd", asked)).toEqual(["ffee 61626364"]);
    expect(await optionsOf("rewrite edns0 local unset 0xffee", asked)).toEqual([]);
  });
});

describe("rewrite refuses", () => {
  it.each([
    ["rewrite", "no rule type specified for rewrite"],
    ["rewrite bogus a b", 'invalid rule type "bogus"; allowed: name, class, type, edns0, ttl, cname, rcode'],
    ["rewrite name a", "too few arguments for a name rule"],
    ["rewrite name fuzzy a b", 'unknown name rule type "fuzzy"'],
    ["rewrite name regex (a b", 'invalid regex pattern "(a"'],
    ["rewrite name regex a {1}", "has 0 groups; {1} wants {1}"],
    ["rewrite answer name a b", "response rewrites must begin with a name rule"],
    ["rewrite type A", "type rules must have exactly two arguments"],
    ["rewrite type A BOGUS", 'invalid type "BOGUS"'],
    ["rewrite ttl a.test x", "invalid TTL 'x' for a ttl rule"],
    ["rewrite edns0 local", "too few arguments for an EDNS0 rule"],
    ["rewrite edns0 local chop 1 2", 'invalid action: "chop"'],
    ["rewrite edns0 local set 0xffee {bogus}", 'unsupported variable name "{bogus}"'],
    ["rewrite edns0 subnet set 33 56", "invalid IPv4 bit mask length"],
  ])("%s", async (rule, message) => {
    expect(await refusal(`. {\n ${rule}\n}`)).toContain(`Corefile:2: ${message}`.replace("Corefile:2: has", "has"));
  });
});
