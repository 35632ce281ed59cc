import { hostname } from "node:os";
import { describe, expect, it } from "vitest";
import { freePort } from "#base/testing/ports.ts";
import { decodeMessage, type EdnsOption, formatRecord, RecordClass } from "#wire/dns/index.ts";
import { eventually, exchangeBytes, queryBytes, testServers } from "../testing.ts";
import { edns, refusal, shown, testBlock } from "./testBlock.ts";

const { start, upstream, temporary } = testServers();

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

describe("acl", () => {
  it("blocks, filters, drops and allows by zone, type and network; the first rule that fits decides", async () => {
    const { ask, metrics } = await testBlock(`. {
  acl example.org {
    allow net 192.0.2.0/24 type A
    block type A AAAA net 192.0.2.0/24 2001:db8::/32
    filter net 198.51.100.1
    drop net 203.0.113.0/24
  }
  acl {
    block net 192.0.2.0/24
  }
  whoami
}`);
    expect(shown(await ask("www.example.org. A"))).toEqual(["NOERROR"]);
    expect(shown(await ask("www.example.org. AAAA"))).toEqual(["REFUSED"]);
    expect(shown(await ask("www.example.org. MX"))).toEqual(["REFUSED"]); // by the second acl
    expect(shown(await ask("www.example.org. A", { from: "2001:db8::1" }))).toEqual(["REFUSED"]);
    const filtered = await ask("www.example.org. A", { from: "198.51.100.1", edns: edns(1232) });
    expect([filtered?.additionals, filtered?.edns?.options]).toEqual([[], [{ code: 15, data: Uint8Array.of(0, 17) }]]);
    expect(await ask("www.example.org. A", { from: "203.0.113.7" })).toBeUndefined();
    expect(shown(await ask("www.example.net. A", { from: "203.0.113.7" }))).toEqual(["NOERROR"]);
    expect(metrics.text()).toContain(
      'coredns_acl_blocked_requests_total{server="dns://:53",zone="example.org.",view=""} 2',
    );
  });

  it.each([
    ["deny net *", "unexpected token 'deny'; expect 'allow', 'block', 'filter' or 'drop'"],
    ["block net 10.0.0.0/99", "illegal CIDR notation '10.0.0.0/99'"],
    ["block type BOGUS", "unexpected token 'BOGUS'; expect legal QTYPE"],
    ["block net", "no token specified in 'net' section"],
    ["block 10.0.0.0/8", "unexpected token '10.0.0.0/8'; expect 'type | net | file'"],
    ["block file /nowhere/at/all", "unable to load networks from local file:"],
  ])("refuses %s", async (line, message) => {
    expect(await refusal(`. {\n acl {\n  ${line}\n }\n}`)).toContain(`Corefile:3: ${message}`);
  });
});

describe("cancel, timeouts, debug, root", () => {
  it("cancel fails a query that takes too long", async () => {
    const silent = await upstream(() => undefined);
    const { ask } = await start(`.:0 {\n cancel 20ms\n forward . 127.0.0.1:${silent.port}\n}`);
    expect(await ask("a.example A")).toEqual(["SERVFAIL"]);
    expect(await refusal(". {\n cancel 0\n}")).toBe("Corefile:2: invalid timeout: 0");
  });

  it("timeouts names its bounds", async () => {
    const { plugins } = await testBlock(". {\n timeouts {\n  read 10s\n  write 15\n  idle 1m\n }\n whoami\n}");
    expect(plugins[0]?.tcpTimeouts).toEqual({ readMs: 10_000, writeMs: 15_000, idleMs: 60_000 });
    expect(await refusal(". {\n timeouts {\n }\n}")).toContain("timeouts block with no timeouts specified");
    expect(await refusal(". {\n timeouts {\n  idle 500ms\n }\n}")).toBe(
      "Corefile:3: timeout provided '500ms' needs to be between 1 second and 24 hours",
    );
  });

  it("root is where relative names are, and tells when it is not there", async () => {
    const { lines } = await testBlock(". {\n root /nowhere/at/all\n file db.example example.org {\n reload 5s\n }\n}");
    expect(lines.join("")).toContain("Root path does not exist: /nowhere/at/all");
    expect(lines.join("")).toContain("/nowhere/at/all/db.example");
  });

  it("debug writes what is otherwise left out", async () => {
    const port = await freePort();
    const text = (more: string) => `.:0 {\n health 127.0.0.1:${port}\n${more}}`;
    const quiet = await start(text(""));
    expect(quiet.lines.join("")).not.toContain("Serving /health");
    await quiet.server.stop(true);
    expect((await start(text(" debug\n"))).lines.join("")).toContain("Serving /health");
  });
});

describe("bind", () => {
  it("serves at the addresses named, the same zone differently at each", async () => {
    const port = await freePort();
    const answer = (address: string) =>
      ` template IN A {\n  answer "{{ .Name }} 60 IN A ${address}"\n }\n bind ${address}\n`;
    const { server } = await start(`.:${port} {\n${answer("127.0.0.1")}}\n.:${port} {\n${answer("127.0.0.2")}}`);
    expect(server.listening().map(({ address }) => address)).toEqual(["127.0.0.1", "127.0.0.2"]);
    const bytes = await exchangeBytes(port, queryBytes("a.example A"));
    expect(bytes && decodeMessage(bytes).answers.map(formatRecord)).toEqual(["a.example. 60 IN A 127.0.0.1"]);
  });

  it("takes interfaces and leaves out exceptions", async () => {
    const { plugins } = await testBlock(". {\n bind lo 192.0.2.1 {\n  except 192.0.2.1\n }\n}");
    expect(plugins[0]?.addresses).toContain("127.0.0.1");
    expect(plugins[0]?.addresses).not.toContain("192.0.2.1");
    expect(await refusal(". {\n bind nowhere\n}")).toContain('not a valid IP address or interface name: "nowhere"');
    expect(await refusal(". {\n bind 192.0.2.1\n}\n. {\n bind 192.0.2.1\n}")).toBe(
      "Corefile:4: zone . on port 53 of 192.0.2.1 is already defined at Corefile:1",
    );
  });
});

describe("metadata and log", () => {
  it("what plugins know stands in log lines and templates", async () => {
    const source = await upstream((asked) => ({ ...asked, response: true }));
    const { ask, lines } = await start(
      `.:0 {\n metadata\n log . "{name} {/forward/upstream} {/no/such}"\n forward . 127.0.0.1:${source.port}\n}`,
    );
    await ask("a.example A");
    await eventually(() => lines.join("").includes(`"a.example. 127.0.0.1:${source.port} -"`));
  });
});

describe("file and auto", () => {
  it("file answers from a master file and takes a new serial", async () => {
    const { writeFile } = await import("node:fs/promises");
    const directory = await temporary();
    const zone = (serial: number, address: string) =>
      `$TTL 60\n@ SOA ns host ${serial} 2 3 4 5\n@ NS ns\nns A ${address}\nout CNAME www.other.test.\n`;
    await writeFile(`${directory}/db.example.org`, zone(1, "192.0.2.1"));
    await writeFile(`${directory}/db.other.test`, "$TTL 60\n@ SOA ns host 1 2 3 4 5\nwww A 192.0.2.80\n");
    const { ask, lines, askMessage } = await start(
      `.:0 {\n file db.example.org example.org {\n  reload 20ms\n }\n file db.other.test other.test\n}`,
      { corefile: `${directory}/Corefile` },
    );
    expect(await ask("ns.example.org A")).toEqual(["NOERROR", "ns.example.org. 60 IN A 192.0.2.1"]);
    // an alias into another zone of this server is followed
    expect(await ask("out.example.org A")).toEqual([
      "NOERROR",
      "out.example.org. 60 IN CNAME www.other.test.",
      "www.other.test. 60 IN A 192.0.2.80",
    ]);
    expect((await askMessage("example.org AXFR", "tcp")).rcode).toBe(5);
    expect(await ask("a.elsewhere A")).toEqual(["SERVFAIL"]);
    await writeFile(`${directory}/db.example.org`, zone(1, "192.0.2.9"));
    await eventually(() => lines.join("").includes("No SOA serial change"));
    await writeFile(`${directory}/db.example.org`, "broken (");
    await eventually(() => lines.join("").includes("unbalanced brace"));
    expect(await ask("ns.example.org A")).toEqual(["NOERROR", "ns.example.org. 60 IN A 192.0.2.1"]);
    await writeFile(`${directory}/db.example.org`, zone(2, "192.0.2.9"));
    await eventually(async () => (await ask("ns.example.org A"))[1] === "ns.example.org. 60 IN A 192.0.2.9");
  });

  it("auto serves the files of a directory as they come and go", async () => {
    const { mkdir, rm, writeFile } = await import("node:fs/promises");
    const directory = await temporary();
    await mkdir(`${directory}/zones`);
    const zone = "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";
    await writeFile(`${directory}/zones/db.example.org`, zone);
    await writeFile(`${directory}/zones/db.elsewhere`, zone);
    const { ask, lines } = await start(".:0 {\n auto org {\n  directory zones\n  reload 20ms\n }\n}", {
      corefile: `${directory}/Corefile`,
    });
    expect(await ask("ns.example.org A")).toEqual(["NOERROR", "ns.example.org. 60 IN A 192.0.2.1"]);
    expect(await ask("ns.elsewhere A")).toEqual(["SERVFAIL"]);
    await writeFile(`${directory}/zones/db.bad.org`, "@ 5 A 1.2.3.4");
    await writeFile(`${directory}/zones/db.new.org`, zone);
    await eventually(async () => (await ask("ns.new.org A")).length === 2);
    await eventually(() => lines.join("").includes("has no SOA record for origin bad.org."));
    await rm(`${directory}/zones/db.new.org`);
    await eventually(async () => (await ask("ns.new.org A"))[0] === "SERVFAIL");
  });
});
