import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { hostname } from "node:os";
import { afterEach, describe, expect, it } from "vitest";

const PROGRAM = new URL("main.ts", import.meta.url).pathname;
const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill("SIGKILL");
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): void {
  running.push(spawn(process.execPath, [PROGRAM, ...args], { stdio: "ignore", env: { ...process.env, ...env } }));
}

/** What a place answers, once it does. */
async function get(port: number, path = "/"): Promise<string> {
  let answer: string | undefined;
  await expect
    .poll(
      async () =>
        (answer = await fetch(`http://127.0.0.1:${port}${path}`).then(
          (r) => r.text(),
          () => undefined,
        )),
    )
    .toBeDefined();
  return answer ?? "";
}

/** Runs a command to its end. */
function run(...args: string[]): Promise<{ code: number; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], (error, _out, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stderr }),
    );
  });
}

describe("the template agnhost (kubernetes/test/images/agnhost/README.md)", () => {
  it("netexec answers who asks whom, by http and udp, and dials others", async () => {
    const [http, udp] = [await freePort(), await freePort()];
    start(["netexec", `--http-port=${http}`, `--udp-port=${udp}`]);
    expect(await get(http, "/hostname")).toBe(hostname());
    expect(await get(http, "/hostName")).toBe(hostname());
    expect(await get(http, "/clientip")).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(await get(http, "/echo?msg=hello")).toBe("hello");
    expect((await fetch(`http://127.0.0.1:${http}/echo?code=503`)).status).toBe(503);
    expect(await get(http, "/")).toMatch(/^NOW: /);
    // No URL, which any client can ask for.
    expect(await get(http, "//")).toBe("404 page not found\n");
    expect(JSON.parse(await get(http, "/shell?shellCommand=echo%20hi"))).toEqual({ output: "hi\n" });
    expect(JSON.parse(await get(http, "/shell?cmd=exit%203"))).toEqual({ output: "", error: "exit status 3" });
    const asked = `/dial?host=127.0.0.1&port=${udp}&protocol=udp&request=hostname&tries=2`;
    expect(JSON.parse(await get(http, asked))).toEqual({ responses: [hostname(), hostname()] });
    const socket = createSocket("udp4");
    socket.send("echo a b", udp, "127.0.0.1");
    expect(String((await once(socket, "message"))[0])).toBe("a b");
    socket.close();
  });

  it("serve-hostname and porter answer on the ports that they are given", async () => {
    const [own, other] = [await freePort(), await freePort()];
    start(["serve-hostname", `--port=${own}`]);
    expect(await get(own)).toBe(hostname());
    start(["porter"], { [`SERVE_PORT_${other}`]: "the text" });
    expect(await get(other)).toBe("the text");
  });

  it("connect says by its exit code whether a connection comes about, and why not", async () => {
    const port = await freePort();
    expect(await run("connect", `127.0.0.1:${port}`, "--timeout=5s")).toEqual({ code: 1, stderr: "REFUSED\n" });
    expect(await run("connect", "nowhere.invalid:1")).toEqual({ code: 1, stderr: "DNS\n" });
    const server = createServer().listen(port, "127.0.0.1");
    await once(server, "listening");
    expect(await run("connect", `127.0.0.1:${port}`, "--timeout=5s")).toEqual({ code: 0, stderr: "" });
    server.close();
    expect((await run("dns-suffix")).stderr).toContain('unknown command "dns-suffix"');
  });
});
