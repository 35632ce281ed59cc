import { describe, expect, it } from "vitest";
import { wanted } from "../../../scripts/lib/tools.mjs";
import { formatDoctor, judge, type MachineFacts, makeReport, obstacles, runDoctor, worst } from "./index.ts";
import { countSubordinateIds, freeSubordinateId, wantedPrograms } from "./probe.ts";

const good: MachineFacts = {
  kernel: "6.8.0-45-generic",
  architecture: "x64",
  distribution: "ubuntu 24.04",
  node: "24.1.0",
  nodePath: "/opt/podwire/bin/node",
  uid: 1000,
  user: "ada",
  userNamespace: { ok: true },
  unprivilegedClone: 1,
  maxUserNamespaces: 63000,
  appArmorRestricts: 0,
  idMappers: true,
  subordinateIds: { uids: 65536, gids: 65536, free: 165536 },
  overlay: { ok: true },
  network: { veth: { ok: true }, vxlan: { ok: true } },
  bridgeNetfilter: true,
  tun: "open",
  cgroups: "v2",
  crun: undefined,
  openFiles: 1048576,
  tools: { folder: "/cache", there: true, missing: [] },
  apt: true,
};

const finding = (changes: Partial<MachineFacts>, id: string) =>
  judge({ ...good, ...changes }).find((entry) => entry.id === id);

describe("doctor", () => {
  it("finds nothing on a good machine", () => {
    expect(worst(judge(good))).toBe("ok");
    expect(formatDoctor(makeReport(good))).toMatch(/All is as it should be\.\n$/);
  });

  it.each<[string, string, Partial<MachineFacts>, string, RegExp]>([
    ["an old kernel", "kernel", { kernel: "5.10.0-33-amd64" }, "warn", /^$/],
    ["an old Node", "node", { node: "20.20.2" }, "fail", /npm ci/],
    [
      "Debian's switch",
      "user-namespaces",
      { userNamespace: { ok: false, error: "no" }, unprivilegedClone: 0 },
      "fail",
      /unprivileged_userns_clone=1/,
    ],
    [
      "a limit of zero",
      "user-namespaces",
      { userNamespace: { ok: false }, maxUserNamespaces: 0 },
      "fail",
      /max_user_namespaces=/,
    ],
    [
      "Ubuntu's AppArmor",
      "user-namespaces",
      { appArmorRestricts: 1 },
      "warn",
      /profile podwire "\/opt\/podwire\/bin\/node"/,
    ],
    ["no newuidmap", "subordinate-ids", { idMappers: false }, "warn", /apt-get install uidmap/],
    [
      "no ranges",
      "subordinate-ids",
      { subordinateIds: { uids: 0, gids: 0, free: 165536 } },
      "warn",
      /usermod --add-subuids 165536-231071 --add-subgids 165536-231071 ada$/,
    ],
    ["no overlay", "overlay", { overlay: { ok: false, error: "EPERM" } }, "fail", /^$/],
    [
      "no vxlan",
      "vxlan",
      { network: { vxlan: { ok: false, error: "Unknown device type" } } },
      "fail",
      /modprobe vxlan/,
    ],
    ["no br_netfilter", "br-netfilter", { bridgeNetfilter: false }, "warn", /modprobe br_netfilter/],
    ["a closed tun", "tun", { tun: "closed" }, "warn", /chmod/],
    ["cgroups v1", "cgroups", { cgroups: "v1" }, "warn", /unified_cgroup_hierarchy/],
    ["few open files", "open-files", { openFiles: 1024 }, "warn", /prlimit/],
    ["no tini", "tools", { tools: { folder: "/cache", there: false, missing: ["tini"] } }, "fail", /setup\.mjs/],
    ["no dig", "tools", { tools: { folder: "/cache", there: true, missing: ["dig"] } }, "warn", /setup\.mjs/],
  ])("%s: says what it costs and what mends it", (_name, id, changes, verdict, mend) => {
    const result = finding(changes, id);
    expect(result).toMatchObject({ verdict, costs: expect.stringMatching(/./) });
    expect(result?.mend ?? "").toMatch(mend);
  });

  it("does without crun, and says how it comes", () => {
    expect(finding({}, "crun")).toMatchObject({ verdict: "ok", says: expect.stringContaining("apt-get install crun") });
    expect(finding({ crun: "/usr/bin/crun" }, "crun")?.says).toBe("pods can run by crun (/usr/bin/crun)");
  });

  it("asks root for no subordinate ids", () => {
    expect(finding({ uid: 0, idMappers: false }, "subordinate-ids")?.verdict).toBe("ok");
  });

  it("shows what stops a start, with the command that mends it", () => {
    const report = makeReport({ ...good, node: "20.1.0" });
    expect(obstacles(report)).toEqual(["Node 20.1.0 is older than 24; mend it by: npm ci"]);
    expect(formatDoctor(report)).toContain("FAIL  node             Node 20.1.0 is older than 24\n");
  });

  it("counts a user's ranges by name and by number", () => {
    expect(countSubordinateIds("ada:100000:65536\n1000:300000:10\nbob:1:5\n", "ada", 1000)).toBe(65546);
    expect(freeSubordinateId("", "")).toBe(100000);
    expect(freeSubordinateId("ada:100000:65536\n", "bob:165536:65536\n\nodd line\n")).toBe(231072);
  });

  it("looks for the programs that the set-up fetches", () => {
    const fetched = Object.values(wanted).flat();
    expect(wantedPrograms.filter((name) => !fetched.includes(name))).toEqual([]);
  });

  it("looks at this machine", async () => {
    const report = await runDoctor({ tools: "" });
    expect(report.findings.map(({ id }) => id)).toEqual(
      expect.arrayContaining(["kernel", "node", "user-namespaces", "overlay"]),
    );
  });
});
