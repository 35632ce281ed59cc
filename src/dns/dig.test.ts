import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { eventually, testServers } from "./testing.ts";

const { start } = testServers();
const run = promisify(execFile);
const hasDig = await run("dig", ["-v"]).then(
  () => true,
  () => false,
);

describe.skipIf(!hasDig)("X01 asked by the distribution's dig (part: names and reverse names)", () => {
  it("reads our answers without complaint, over UDP and TCP", async () => {
    const { port, server } = await start(
      ".:0 {\n kubernetes cluster.local in-addr.arpa {\n pods insecure\n }\n loadbalance\n}",
    );
    await eventually(() => server.notReady().length === 0);
    const dig = async (...words: string[]) => {
      const { stdout } = await run("dig", ["@127.0.0.1", "-p", String(port), "+tries=1", ...words]);
      expect(stdout).not.toMatch(/malformed|extra bytes|bad packet/i);
      return stdout;
    };
    expect(await dig("+short", "kubernetes.default.svc.cluster.local")).toBe("10.96.0.1\n");
    expect(await dig("+short", "+tcp", "kubernetes.default.svc.cluster.local")).toBe("10.96.0.1\n");
    expect(await dig("+short", "-x", "10.96.0.1")).toBe("kubernetes.default.svc.cluster.local.\n");
    expect(await dig("+short", "dns-version.cluster.local", "TXT")).toBe('"1.1.0"\n');
    expect((await dig("+short", "_http._tcp.hdls.default.svc.cluster.local", "SRV")).split("\n").sort()).toEqual([
      "",
      "0 33 80 10-244-2-2.hdls.default.svc.cluster.local.",
      "0 33 80 fd00-244--1.hdls.default.svc.cluster.local.",
      "0 33 80 my-pet.hdls.default.svc.cluster.local.",
    ]);
    const denied = await dig("nope.default.svc.cluster.local");
    expect(denied).toContain("status: NXDOMAIN");
    expect(denied).toMatch(/flags: qr aa rd; QUERY: 1, ANSWER: 0, AUTHORITY: 1, ADDITIONAL: 1/);
    expect(denied).toMatch(/cluster\.local\.\s+5\s+IN\s+SOA\s+ns\.dns\.cluster\.local\. hostmaster\.cluster\.local\./);
  });
});
