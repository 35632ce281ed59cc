import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { newNetns } from "#kernel/namespaces/index.ts";
import { openRtnetlink, type RtnetlinkChange, watchRtnetlink } from "#kernel/netlink/index.ts";

it("tells of changes in two namespaces without blocking, each its own, until stopped", async () => {
  const [a, b] = [newNetns(), newNetns()];
  const [inA, inB] = [openRtnetlink(a), openRtnetlink(b)];
  const stop = new AbortController();
  const seen: { a: RtnetlinkChange[]; b: RtnetlinkChange[] } = { a: [], b: [] };
  watchRtnetlink(["link", "address", "route", "neighbour"], (change) => seen.a.push(change), stop.signal, a);
  watchRtnetlink(["link"], (change) => seen.b.push(change), stop.signal, b);
  const until = async (done: () => boolean) => {
    const deadline = performance.now() + 15_000;
    while (!done() && performance.now() < deadline) await sleep(1);
    expect(done()).toBe(true);
  };
  inA.apply([
    { op: "add-link", name: "br0", index: 3, kind: { type: "bridge" }, up: true },
    { op: "add-address", index: 3, address: "10.0.0.1/24" },
    { op: "add-route", dst: "10.9.0.0/16", via: "10.0.0.9" },
    { op: "add-neighbour", index: 3, ip: "10.0.0.9", mac: "02:00:00:00:00:09" },
  ]);
  await until(() => seen.a.some((change) => change.kind === "neighbour" && change.neighbour.ip === "10.0.0.9"));
  expect(seen.a.some((change) => change.kind === "link" && change.link.name === "br0" && !change.gone)).toBe(true);
  expect(seen.a.some((change) => change.kind === "address" && change.address.address === "10.0.0.1/24")).toBe(true);
  expect(seen.a.some((change) => change.kind === "route" && change.route.dst === "10.9.0.0/16")).toBe(true);
  expect(seen.b).toEqual([]);
  inB.apply([{ op: "add-link", name: "br1", kind: { type: "bridge" } }]);
  await until(() => seen.b.some((change) => change.kind === "link" && change.link.name === "br1"));
  inA.apply([{ op: "delete-link", index: 3 }]);
  await until(() => seen.a.some((change) => change.kind === "link" && change.gone && change.link.name === "br0"));
  stop.abort();
  const before = seen.b.length;
  inB.apply([{ op: "add-link", name: "br2", kind: { type: "bridge" } }]);
  await sleep(20);
  expect(seen.b).toHaveLength(before);
  for (const thing of [inA, inB, a, b]) thing.close();
});
