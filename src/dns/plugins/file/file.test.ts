import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { eventually, testServers } from "../../testing.ts";

const { start, temporary } = testServers();

describe("file and auto", () => {
  it("file answers from a master file and takes a new serial", async () => {
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
    // What cannot even be looked at (ELOOP) is as if it were not there for a while.
    await rm(`${directory}/db.example.org`);
    await symlink("db.example.org", `${directory}/db.example.org`);
    await new Promise((resolve) => setTimeout(resolve, 60)); // some looks at it
    expect(await ask("ns.example.org A")).toEqual(["NOERROR", "ns.example.org. 60 IN A 192.0.2.1"]);
    await writeFile(`${directory}/new`, zone(2, "192.0.2.9"));
    await rename(`${directory}/new`, `${directory}/db.example.org`);
    await eventually(async () => (await ask("ns.example.org A"))[1] === "ns.example.org. 60 IN A 192.0.2.9");
  });

  it("auto serves the files of a directory as they come and go", async () => {
    const directory = await temporary();
    await mkdir(`${directory}/zones`);
    const zone = "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";
    await writeFile(`${directory}/zones/db.example.org`, zone);
    await writeFile(`${directory}/zones/db.elsewhere`, zone);
    // A link to itself (ELOOP) keeps nobody else from being served, at the start and later.
    await symlink("db.loop.org", `${directory}/zones/db.loop.org`);
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
