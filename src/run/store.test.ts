import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parsePublish, type RunNetwork } from "./model.ts";
import { newNetwork } from "./newNetwork.ts";
import { type RunRecord, Runs } from "./store.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pw-run-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const digits = (n: number) => String(n).repeat(64);
const record = (runs: Runs, n: number, more: Partial<RunRecord> = {}): RunRecord => ({
  id: digits(n),
  name: `c${n}`,
  image: "nginx",
  command: ["nginx"],
  created: n,
  network: newNetwork("bridge", [parsePublish(`808${n}:80`)], () => runs.freeAddress()),
  stopSignal: 15,
  ...more,
});

describe("C03 containers of a node (part: what is written down)", () => {
  it("get different addresses, and names and ports that nobody has", () => {
    const runs = new Runs(folder);
    for (const n of [1, 2, 3]) runs.claim(record(runs, n));
    expect(runs.list().map(({ network }) => network.attachment?.address)).toEqual([
      "172.17.0.2",
      "172.17.0.3",
      "172.17.0.4",
    ]);
    expect(() => runs.check("c2", [])).toThrow(
      `Conflict. The container name "/c2" is already in use by container "${digits(2)}".`,
    );
    expect(() => runs.check("new", [parsePublish("8083:1")])).toThrow(
      "Bind for 0.0.0.0:8083 failed: port is already allocated",
    );
    runs.check("new", [parsePublish("8083:1/udp")]);
    runs.forget(digits(2));
    expect(runs.freeAddress()).toBe("172.17.0.3");
  });

  it("are found by name, id and the beginning of an id", () => {
    const runs = new Runs(folder);
    for (const n of [1, 2]) runs.claim(record(runs, n));
    expect(runs.find("c1").id).toBe(digits(1));
    expect(runs.find("222").name).toBe("c2");
    for (const text of ["", "3", "c"]) expect(() => runs.find(text)).toThrow(`No such container: ${text}`);
  });

  it("are swept when their keeper is gone, kept when it lives", async () => {
    const runs = new Runs(folder);
    const kept = record(runs, 1);
    runs.claim(kept);
    // Killed before anything was written, and after: nobody holds their locks.
    mkdirSync(join(folder, digits(2)));
    const lost = record(runs, 3);
    mkdirSync(join(folder, digits(3)));
    runs.update(lost);
    const ended: string[] = [];
    const removed: RunNetwork[] = [];
    await runs.sweep(
      async (path, id) => {
        expect(existsSync(path)).toBe(true);
        ended.push(id);
      },
      async (network) => void removed.push(network),
    );
    expect(ended.sort()).toEqual([digits(2), digits(3)]);
    expect(removed).toEqual([lost.network]);
    expect(readdirSync(folder)).toEqual([digits(1)]);
    expect(runs.isKept(kept.id)).toBe(true);
    expect(runs.isKept(lost.id)).toBe(false);
  });

  it("stay written down when sweeping them fails, for the next sweep", async () => {
    const runs = new Runs(folder);
    const lost = record(runs, 1);
    mkdirSync(join(folder, lost.id));
    runs.update(lost);
    const fail = runs.sweep(
      async () => {},
      async () => {
        throw new Error("the kernel refuses");
      },
    );
    await expect(fail).rejects.toThrow("the kernel refuses");
    expect(runs.list()).toEqual([lost]);
    expect(runs.isKept(lost.id)).toBe(false);
  });
});
