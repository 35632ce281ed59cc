import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serveNodeLogs } from "./nodeLogs.ts";
import { RequestError } from "./requests.ts";

const base = mkdtempSync(join(tmpdir(), "pw-logs-"));
const folder = join(base, "log");
mkdirSync(join(folder, "pods"), { recursive: true });
writeFileSync(join(folder, "kubelet.log"), "line\n");
writeFileSync(join(folder, "<b>"), "");
writeFileSync(join(base, "secret"), "secret");
symlinkSync("../secret", join(folder, "out"));

const server = createServer((request, response) => {
  serveNodeLogs(folder, (request.url ?? "").slice(1), response).catch((error: unknown) => {
    response.writeHead(error instanceof RequestError ? error.status : 500).end();
  });
});
beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
afterAll(() => {
  server.close();
  rmSync(base, { recursive: true, force: true });
});

async function get(path: string): Promise<[number, string]> {
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${path}`);
  return [answer.status, await answer.text()];
}

describe("a node's own logs", () => {
  it("files, and folders as links", async () => {
    expect(await get("kubelet.log")).toEqual([200, "line\n"]);
    expect(await get("%3Cb%3E")).toEqual([200, ""]);
    const [status, page] = await get("");
    expect(status).toBe(200);
    for (const link of [
      '<a href="kubelet.log">kubelet.log</a>',
      '<a href="pods/">pods/</a>',
      '<a href="%3Cb%3E">&#60;b&#62;</a>',
    ])
      expect(page).toContain(link);
  });

  it("nothing else", async () => {
    for (const path of ["out", "..%2fsecret", "nothing", "kubelet.log/x", "%zz"])
      expect([path, (await get(path))[0]]).toEqual([path, 404]);
  });
});
