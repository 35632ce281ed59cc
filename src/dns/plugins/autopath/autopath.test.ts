import { writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { Client } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { fillApi, testServers } from "../../testing.ts";
import { refusal, shown, testBlock } from "../testBlock.ts";
import { searchDomains } from "./setup.ts";

const { start, temporary } = testServers();

const zone = (name: string, address: string) => `
 template IN A ${name} {
  answer "{{ .Name }} 60 IN A ${address}"
 }`;
const nothingElse = `
 template IN A {
  rcode NXDOMAIN
  authority ". 60 IN SOA a. b. 1 2 3 4 5"
 }`;

describe("autopath", () => {
  it("answers with the first domain of a resolv.conf's list that has the name, or the bare name, behind an alias", async () => {
    const directory = await temporary();
    await writeFile(`${directory}/resolv.conf`, "nameserver 10.96.0.10\nsearch One.test two.test\noptions ndots:5\n");
    const { ask, metrics } = await start(
      `.:0 {\n autopath resolv.conf${zone("www.two.test", "192.0.2.2")}${zone("bare.example", "192.0.2.3")}${zone("x.one.test", "192.0.2.1")}${nothingElse}\n}`,
      { corefile: `${directory}/Corefile` },
    );
    expect(await ask("WWW.one.test A")).toEqual([
      "NOERROR",
      "WWW.one.test. 60 IN CNAME www.two.test.",
      "www.two.test. 60 IN A 192.0.2.2",
    ]);
    expect(await ask("bare.example.one.test A")).toEqual([
      "NOERROR",
      "bare.example.one.test. 60 IN CNAME bare.example.",
      "bare.example. 60 IN A 192.0.2.3",
    ]);
    expect(await ask("x.one.test A")).toEqual(["NOERROR", "x.one.test. 60 IN A 192.0.2.1"]);
    expect(await ask("none.one.test A")).toEqual(["NXDOMAIN"]);
    expect(await ask("none.two.test A")).toEqual(["NXDOMAIN"]);
    expect(metrics.text()).toContain('coredns_autopath_success_total{server="dns://:0",view=""} 3');
  });

  it("@kubernetes takes the search list of the pod that asks", async () => {
    const api = new FakeApi();
    fillApi(api);
    const block = await testBlock(
      `. {\n autopath @kubernetes\n kubernetes cluster.local {\n  pods verified\n }${zone("www.example.com", "192.0.2.9")}\n}`,
      async () => new Client(api),
    );
    const kubernetes = block.plugins.find(({ name }) => name === "kubernetes");
    await kubernetes?.start?.();
    await kubernetes?.settled?.();
    const from = { from: "10.244.2.5" }; // the pod web in default
    expect(shown(await block.ask("kubernetes.default.svc.cluster.local. A", from))?.[1]).toBe(
      "kubernetes.default.svc.cluster.local. 5 IN A 10.96.0.1",
    );
    // `wear-service.app-space` with the search list of a pod in default
    expect(shown(await block.ask("wear-service.app-space.default.svc.cluster.local. A", from))?.slice(0, 3)).toEqual([
      "NOERROR",
      "wear-service.app-space.default.svc.cluster.local. 5 IN CNAME wear-service.app-space.svc.cluster.local.",
      "wear-service.app-space.svc.cluster.local. 5 IN A 10.96.7.7",
    ]);
    expect(shown(await block.ask("www.example.com.default.svc.cluster.local. A", from))?.[1]).toBe(
      "www.example.com.default.svc.cluster.local. 60 IN CNAME www.example.com.",
    );
    // a client that is no pod
    expect(shown(await block.ask("www.example.com.default.svc.cluster.local. A"))?.[0]).toBe("NXDOMAIN");
    await kubernetes?.stop?.();
  });

  it("reads the last search or domain line", () => {
    expect(searchDomains("domain a.test\nsearch B.test . c.test\n")).toEqual(["b.test.", "c.test."]);
    expect(searchDomains("nameserver 1.1.1.1\n")).toEqual([]);
  });

  it("refuses a list that cannot be read, and none", async () => {
    expect(await refusal(". {\n autopath\n}")).toContain("no resolv-conf specified");
    expect(await refusal(". {\n autopath /nowhere/at/all\n}")).toContain('failed to parse "/nowhere/at/all"');
    await expect(start(".:0 {\n autopath @whoami\n whoami\n}")).rejects.toThrow(
      "whoami does not implement the AutoPather interface",
    );
  });
});
