import { describe, expect, it } from "vitest";
import { refusal, shown, testBlock } from "../testBlock.ts";
import { GoTemplate, Struct, TemplateError } from "./goTemplate.ts";

describe("Go's template language", () => {
  const data = new Struct([
    ["Name", "a.example."],
    ["List", ["x", "y"]],
    [
      "Map",
      new Map([
        ["b", "2"],
        ["a", "1"],
      ]),
    ],
    ["Number", 7],
    ["Empty", ""],
    ["Method", (...args) => `got ${args.join("+")}`],
  ]);
  const run = (text: string) => new GoTemplate(text, new Map()).execute(data);
  // Expected values from text/template's documentation.
  it.each([
    ["plain", "plain"],
    ["{{ .Name }} {{.Number}}", "a.example. 7"],
    ['{{ "a\\"b" }}{{ `raw\\` }}{{ 5 }}{{ true }}', 'a"braw\\5true'],
    ["{{ .Map.a }}{{ .Map.none }}", "1<no value>"],
    ['{{ index .List 1 }}{{ index .Map "b" }}', "y2"],
    ["{{ if .Empty }}yes{{ else }}no{{ end }}", "no"],
    ["{{ if .Empty }}1{{ else if .Name }}2{{ else }}3{{ end }}", "2"],
    ["{{ range .List }}<{{ . }}>{{ end }}", "<x><y>"],
    ["{{ range $i, $v := .List }}{{ $i }}{{ $v }}{{ end }}", "0x1y"],
    ["{{ range $k, $v := .Map }}{{ $k }}{{ $v }}{{ end }}", "a1b2"],
    ["{{ with .Name }}{{ . }}{{ end }}{{ with .Empty }}x{{ else }}none{{ end }}", "a.example.none"],
    ["{{ $x := .Number }}{{ $x }}{{ $.Name }}", "7a.example."],
    ["a {{- .Number -}} b", "a7b"],
    ["{{/* nothing */}}x", "x"],
    ['{{ .Name | printf "%s-%03d" "n" .Number | len }}', ""],
    ['{{ printf "%03d %x %q" 7 255 "s" }}', '007 ff "s"'],
    ['{{ and .Name .Number }}{{ or .Empty "or" }}{{ not .Empty }}', "7ortrue"],
    ["{{ eq .Number 7 }}{{ ne 1 1 }}{{ lt 1 2 }}{{ ge 1 2 }}", "truefalsetruefalse"],
    ["{{ slice .Name 0 1 }}{{ len .List }}{{ (index .List 0) }}", "a2x"],
    ['{{ .Method "a" "b" }}{{ "c" | .Method }}', "got a+bgot c"],
  ])("%s", (text, expected) => {
    if (expected === "") expect(() => run(text)).not.toThrow();
    else expect(run(text)).toBe(expected);
  });

  it.each([
    ["{{ .Nothing }}", "can't evaluate field Nothing"],
    ["{{ .Name", "unclosed action"],
    ["{{ bogus 1 }}", 'function "bogus" not defined'],
    ["{{ if .Name }}x", "without {{end}}"],
    ["{{ end }}", "unexpected {{end}}"],
    ["{{ $x }}", 'undefined variable "$x"'],
    ["{{ index .List 5 }}", "index out of range: 5"],
    ['{{ template "x" }}', "{{template}} is not there"],
    [
      '{{ range .List }}{{ range $.List }}{{ printf "%999s" "" }}{{ end }}{{ end }}'.repeat(20),
      "more than 65536 characters",
    ],
  ])("refuses %s", (text, message) => {
    expect(() => run(text)).toThrow(TemplateError);
    expect(() => run(text)).toThrow(message);
  });
});

describe("template", () => {
  it("CoreDNS' examples: addresses in names, both ways, and hexadecimal ones", async () => {
    const { ask, metrics } = await testBlock(`. {
    template IN A example {
      match (^|[.])ip-(?P<a>[0-9]*)-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$
      answer "{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
      fallthrough
    }
    template IN PTR in-addr.arpa {
      match ^(?P<d>[0-9]*)[.](?P<c>[0-9]*)[.](?P<b>[0-9]*)[.](?P<a>[0-9]*)[.]in-addr[.]arpa[.]$
      answer "{{ .Name }} 60 IN PTR ip-{{ .Group.a }}-{{ .Group.b }}-{{ .Group.c }}-{{ .Group.d }}.example."
    }
    template IN A example {
      match "^ip0a(?P<b>[a-f0-9]{2})(?P<c>[a-f0-9]{2})(?P<d>[a-f0-9]{2})[.]example[.]$"
      answer "{{ .Name }} 60 IN A 10.{{ parseInt .Group.b 16 8 }}.{{ parseInt .Group.c 16 8 }}.{{ parseInt .Group.d 16 8 }}"
    }
}`);
    expect(shown(await ask("a.ip-10-1-2-3.example. A"))).toEqual([
      "NOERROR",
      "a.ip-10-1-2-3.example. 60 IN A 10.1.2.3",
    ]);
    expect(shown(await ask("3.2.1.10.in-addr.arpa. PTR"))).toEqual([
      "NOERROR",
      "3.2.1.10.in-addr.arpa. 60 IN PTR ip-10-1-2-3.example.",
    ]);
    expect(shown(await ask("ip0a7b0001.example. A"))).toEqual(["NOERROR", "ip0a7b0001.example. 60 IN A 10.123.0.1"]);
    expect(shown(await ask("nothing.example. A"))).toEqual(["SERVFAIL"]); // the last one has no fallthrough
    expect(metrics.text()).toContain(
      'coredns_template_matches_total{server="dns://:53",zone="example.",view="",class="IN",type="A"} 2',
    );
  });

  it("rcodes with an authority and an extended error", async () => {
    const { ask } = await testBlock(`. {
    template ANY ANY invalid {
      rcode NXDOMAIN
      authority "invalid. 60 {{ .Class }} SOA ns.invalid. hostmaster.invalid. (1 60 60 60 60)"
      ederror 21 "Blocked according to RFC2606"
    }
}`);
    const answer = await ask("a.invalid. MX", { edns: { udpSize: 1232, version: 0, dnssecOk: false, options: [] } });
    expect(shown(answer)).toEqual(["NXDOMAIN", "ns invalid. 60 IN SOA ns.invalid. hostmaster.invalid. 1 60 60 60 60"]);
    expect(answer?.edns?.options[0]?.code).toBe(15);
    expect(Buffer.from(answer?.edns?.options[0]?.data ?? []).toString("latin1")).toBe(
      "\0\x15Blocked according to RFC2606",
    );
  });

  it("follows the CNAME that it made", async () => {
    const { ask } = await testBlock(`. {
  template IN ANY foogle.com {
    match "^foogle\\.com\\.$"
    answer "foogle.com 60 IN CNAME google.com"
  }
  template IN A google.com {
    answer "google.com 60 IN A 192.0.2.1"
  }
}`);
    expect(shown(await ask("foogle.com. A"))).toEqual([
      "NOERROR",
      "foogle.com. 60 IN CNAME google.com.",
      "google.com. 60 IN A 192.0.2.1",
    ]);
  });

  it("a template that makes no record fails the query and is counted", async () => {
    const { ask, metrics } = await testBlock(
      '. {\n template IN A {\n  answer "{{ .Name }} 60 IN A {{ .Group.none }}"\n }\n}',
    );
    expect(shown(await ask("a. A"))).toEqual(["SERVFAIL"]);
    expect(metrics.text()).toContain(
      'coredns_template_rr_failures_total{server="dns://:53",zone=".",view="",class="IN",type="A",section="answer"',
    );
  });

  it("answers each query where a pattern has large counts", async () => {
    const { ask } = await testBlock(
      '. {\n template IN A {\n  match "^(?:[a-z0-9-]{1,63}\\.){1,15}$"\n  answer "{{ .Name }} 60 IN A 192.0.2.1"\n }\n}',
    );
    for (let query = 0; query < 3; query++)
      expect(shown(await ask("www.example.org. A"))).toContain("www.example.org. 60 IN A 192.0.2.1");
  });

  it.each([
    ["template IN", "template without class and type"],
    ["template XX A {\n answer x\n}", "invalid query class XX"],
    ["template IN XX {\n answer x\n}", "invalid RR class XX"],
    ["template IN A", "no answer section for template found"],
    ["template IN A {\n rcode BOGUS\n}", "unknown rcode BOGUS"],
    ['template IN A {\n answer "{{ .Name"\n}', "could not compile template: {{ .Name, unclosed action"],
    ["template IN A {\n match (\n answer x\n}", 'invalid regex pattern "("'],
    ["template IN A {\n match (a|b){1,20}\n answer x\n}", "a group that captures cannot be repeated up to 20 times"],
    ["template IN A {\n ederror x\n answer x\n}", "error parsing extended DNS error code"],
  ])("refuses %s", async (text, message) => {
    expect(await refusal(`. {\n${text}\n}`)).toContain(message);
  });
});
