import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Result, run, TestCluster } from "../support/cluster.ts";
import { makeStaging, type Staging } from "../support/staging.ts";
import { people } from "../support/user.ts";

/** Addresses for documentation (RFC 5737, RFC 3849), which the test's own "host" has. */
const HOST = "203.0.113.1";
const HOST6 = "2001:db8::1";

/** Servers of the outside: HTTP that says who asks, a greeting that comes first, UDP that echoes, DNS with one name. */
const SERVERS = `
const http = require("node:http"), net = require("node:net"), dgram = require("node:dgram");
const big = Buffer.alloc(8 << 20, "x");
http.createServer((q, r) => r.end(q.url === "/big" ? big : "from " + q.socket.remoteAddress + "\\n")).listen(80, "::");
net.createServer((s) => { s.write("220 hello\\n"); s.on("data", (d) => s.write(d)); s.on("end", () => s.end("bye\\n")); s.on("error", () => {}); s.allowHalfOpen = true; }).listen(2525, "::");
const udp = dgram.createSocket("udp4"); udp.on("message", (m, p) => udp.send("echo " + m, p.port, p.address)); udp.bind(7000, "${HOST}");
const answer = (q) => {
  const end = 12 + q.subarray(12).indexOf(0) + 5, a = Buffer.from(q.subarray(0, end));
  a[2] |= 0x80; a[3] = 0x80; a.writeUInt16BE(0, 8); a.writeUInt16BE(0, 10);
  if (!q.subarray(12, end).toString("latin1").includes("\\x07example\\x04test")) { a[3] |= 3; return a; }
  if (q.readUInt16BE(end - 4) !== 1) return a;
  a.writeUInt16BE(1, 6);
  return Buffer.concat([a, Buffer.from("c00c000100010000003c0004cb007101", "hex")]);
};
const dns = dgram.createSocket("udp4"); dns.on("message", (m, p) => dns.send(answer(m), p.port, p.address)); dns.bind(53, "${HOST}");
net.createServer((s) => { s.on("error", () => {}); s.on("data", (d) => { const a = answer(d.subarray(2)); const l = Buffer.alloc(2); l.writeUInt16BE(a.length); s.end(Buffer.concat([l, a])); }); }).listen(53, "${HOST}");
console.log("up");
`;

people.describe("the outside (part: on, for %s)", ["root"], () => {
  const folder = mkdtempSync(join(tmpdir(), "podwire-outside-"));
  let staging: Staging;
  let cluster: TestCluster;
  let servers: ChildProcess;

  beforeAll(async () => {
    staging = makeStaging();
    const resolv = join(folder, "resolv.conf");
    writeFileSync(resolv, `nameserver ${HOST}\n`);
    // A host of its own: its network has these addresses and nothing else.
    const setUp = [
      "ip link set lo up",
      "ip link add wan0 type bridge",
      "ip link set wan0 up",
      `ip addr add ${HOST}/24 dev wan0`,
      `ip addr add ${HOST6}/64 dev wan0 nodad`,
      `mount --bind ${resolv} /etc/resolv.conf`,
      'exec "$@"',
    ].join(" && ");
    cluster = new TestCluster({
      staging,
      flags: ["--outside=on", "--ingress=none", "--nodes=2", "--pod-cidr=10.244.0.0/16,fd00:244::/56"],
      through: ["unshare", "--net", "--mount", "--", "/bin/sh", "-c", setUp, "sh"],
    });
    await cluster.ready();
    servers = spawn("nsenter", ["-t", `${cluster.process.pid}`, "-n", "--", staging.node, "-e", SERVERS], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((resolve) => servers.stdout?.once("data", resolve));
    await kubectl("run", "box", "--image=podwire/toolbox", "--", "sleep", "infinity");
    await kubectl("wait", "--for=condition=Ready", "pod/box", "--timeout=60s");
  });
  afterAll(async () => {
    servers?.kill();
    await cluster?.stop();
    staging.remove();
    rmSync(folder, { recursive: true });
  });

  /** kubectl in the network of the test's own host. */
  const kubectl = async (...args: string[]): Promise<Result> => {
    const { kubeconfig } = await cluster.status();
    const program = process.env["PODWIRE_TEST_KUBECTL"] ?? "kubectl";
    return run("nsenter", ["-t", `${cluster.process.pid}`, "-n", "--", program, ...args], {
      env: { PATH: process.env["PATH"] ?? "", HOME: folder, KUBECONFIG: kubeconfig },
    });
  };
  const inPod = (script: string): Promise<Result> => kubectl("exec", "box", "--", "sh", "-c", script);

  it("pods and nodes reach it by address, as the host", async () => {
    expect(await inPod(`curl -sS --max-time 10 http://${HOST}/`)).toMatchObject({ stdout: `from ::ffff:${HOST}\n` });
    expect(await cluster.sh("node01", `curl -sS --max-time 10 http://${HOST}/`)).toMatchObject({ code: 0 });
    expect(await inPod(`curl -sS --max-time 10 -o /dev/null -w '%{size_download}' http://${HOST}/big`)).toMatchObject({
      stdout: `${8 << 20}`,
    });
  });

  it("over IPv6 too", async () => {
    expect(await inPod(`curl -sS --max-time 10 'http://[${HOST6}]/'`)).toMatchObject({ stdout: `from ${HOST6}\n` });
  });

  it("names resolve through the host, by the cluster's DNS", async () => {
    expect(await inPod("curl -sS --max-time 10 http://example.test/")).toMatchObject({ code: 0 });
    expect(await inPod("dig +short example.test")).toMatchObject({ stdout: `${HOST}\n` });
    expect(await inPod("dig +tcp +short example.test @192.168.1.1")).toMatchObject({ stdout: `${HOST}\n` });
    expect((await inPod("dig nowhere.test")).stdout).toContain("status: NXDOMAIN");
  });

  it("what the server says first arrives, and each half of a connection ends by itself", async () => {
    const { stdout } = await inPod(`printf 'a\\nb\\n' | timeout 10 nc -N ${HOST} 2525`);
    expect(stdout).toBe("220 hello\na\nb\nbye\n");
  });

  it("UDP, datagram by datagram, and several peers at once", async () => {
    const ask = `for i in 1 2 3; do printf "$i" | timeout 5 nc -u -W1 ${HOST} 7000 & done; wait`;
    const { stdout } = await inPod(ask);
    expect(stdout.match(/echo \d/g)?.sort()).toEqual(["echo 1", "echo 2", "echo 3"]);
    expect((await inPod(`dig +short example.test @${HOST}`)).stdout).toBe(`${HOST}\n`);
  });

  it("what cannot be reached is refused at once: a closed port, an address without route, other protocols", async () => {
    // curl's codes: 7 cannot connect, 56 the connection was reset; 28 would be its own time limit.
    const refused = { code: expect.toSatisfy((code: number) => [7, 56].includes(code)) };
    expect(await inPod(`curl -sS --max-time 60 http://${HOST}:81/`)).toMatchObject(refused);
    expect(await inPod("curl -sS --max-time 60 http://198.51.100.1/")).toMatchObject(refused);
    expect((await inPod(`ping -c1 -W60 ${HOST}`)).stdout).toMatch(/Packet filtered/);
  });

  it("neither the host's loopback nor link-local addresses nor what the cluster does not route is outside", async () => {
    expect(await cluster.sh("node01", "curl -sS --max-time 10 http://169.254.169.254/")).toMatchObject({ code: 7 });
    expect(await cluster.sh("node01", "curl -sS --max-time 10 http://192.168.1.77/")).toMatchObject({ code: 7 });
  });
});
