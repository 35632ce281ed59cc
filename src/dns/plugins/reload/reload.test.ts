import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { freePorts } from "#base/testing/ports.ts";
import { eventually, exchangeBytes, queryBytes, startTestServer, testServers } from "../../testing.ts";

const { start, temporary } = testServers();

describe("X04 a changed Corefile takes effect (part: reload)", () => {
  it("by watching the file, by asking, and never when it is wrong", async () => {
    const directory = await temporary();
    const corefile = join(directory, "Corefile");
    const [port = 0, health = 0, other] = await freePorts(3);
    const text = (ip: string, more = "") =>
      `.:${port} {\n reload 2s 1s\n health 127.0.0.1:${health}\n hosts {\n ${ip} a.example\n }\n${more}}\n`;
    await writeFile(corefile, text("10.0.0.1"));
    const { ask, server, lines } = await start(text("10.0.0.1"), { corefile });
    await writeFile(corefile, text("10.0.0.2"));
    await eventually(async () => (await ask("a.example A"))[1]?.endsWith("10.0.0.2") ?? false);
    await writeFile(corefile, text("10.0.0.3", " nonsense\n"));
    await eventually(() => lines.some((line) => line.includes("Corefile changed but is not used")));
    expect(lines.join("")).toMatch(/Corefile:7: Unknown directive 'nonsense'; allowed: root, metadata/);
    expect((await ask("a.example A"))[1]).toContain("10.0.0.2");
    expect(await (await fetch(`http://127.0.0.1:${health}/health`)).text()).toBe("OK");
    await writeFile(corefile, `.:${other} {\n hosts {\n 10.0.0.4 a.example\n }\n}\n`);
    await server.reload();
    expect(await exchangeBytes(port, queryBytes("a.example A"), 200)).toBeUndefined();
    await expect(fetch(`http://127.0.0.1:${health}/health`)).rejects.toThrow();
  });

  it("says that a Corefile without server blocks serves nothing", async () => {
    const { lines } = await start("# nothing\n");
    expect(lines.join("")).toContain("Corefile has no server block: nothing is served");
  });

  it("imported files count too, also below another directory", async () => {
    const directory = await temporary();
    const corefile = join(directory, "Corefile");
    const text = ".:0 {\n root /\n reload 2s 1500ms\n hosts {\n  import more\n }\n}\n";
    await writeFile(corefile, text);
    await writeFile(join(directory, "more"), "10.0.0.1 a.example\n");
    const { ask } = await start(text, { corefile });
    await writeFile(join(directory, "more"), "10.0.0.2 a.example\n");
    await eventually(async () => (await ask("a.example A"))[1]?.endsWith("10.0.0.2") ?? false);
  });

  it.each([
    [".:0 {\n dnssec\n}", "Corefile:2: plugin dnssec of CoreDNS is not part of this server"],
    [".:0 {\n cache\n cache\n}", "Corefile:3: cache is already at line 2"],
    [".:0 {\n}\n.:0 {\n}", "Corefile:3: zone . on port 0 is already defined at Corefile:1"],
    ["tls://.:0 {\n}", "Corefile:1: serving tls:// is not supported"],
    [".:0 {\n kubernetes {\n  pods maybe\n }\n}", "Corefile:3: pods maybe; allowed: disabled, insecure, verified"],
    [".:0 {\n forward . {$NO_SUCH}\n}", 'Corefile:2: not an IP address or file: "" (not set: {$NO_SUCH})'],
    [".:0 {\n cache {$NONE} {\n  success {$NO_SUCH}\n }\n}", "(not set: {$NO_SUCH})"],
    [".:0 {\n kubernetes cluster.local {\n  kubeconfig /no/such\n }\n}", "Corefile:3: kubeconfig: ENOENT"],
    [".:0 {\n forward . nofile\n}", 'Corefile:2: not an IP address or file: "nofile"'],
    [".:0 {\n forward . https://1.1.1.1\n}", "Corefile:2: https:// upstreams are not there"],
    [".:0 {\n cache 30 {\n  success x\n }\n}", 'Corefile:3: capacity "x"; expected a whole number'],
    [".:0 {\n reload 1s\n}", "Corefile:2: reload interval below 2s"],
  ])("refuses %j", async (text, message) => {
    await expect(startTestServer(text)).rejects.toThrow(message);
  });
});
