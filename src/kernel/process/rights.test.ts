import { describe, expect, it } from "vitest";
import { permittedCapabilities, rightsSteps } from "./rights.ts";

const ALL = (1n << 41n) - 1n;
/** The two words of effective, permitted and inheritable that capset(2) is given. */
const words = (data: unknown) => Array.from({ length: 6 }, (_, i) => (data as Buffer).readUInt32LE(i * 4));

describe("what a process gives up", () => {
  it("is nothing when nothing is asked for", () => {
    expect(rightsSteps({}, ALL)).toEqual([]);
  });

  it("is every capability but those named, in an order in which each step is still allowed", () => {
    const steps = rightsSteps({ capabilities: ["chown", "net_raw"], user: { uid: 0, gid: 0, groups: [7] } }, ALL);
    const dropped = steps.filter(({ call, args }) => call === "prctl" && args[0] === 24).map(({ args }) => args[1]);
    // linux/capability.h: CAP_CHOWN 0, CAP_NET_RAW 13, CAP_CHECKPOINT_RESTORE 40.
    expect(dropped).toEqual(Array.from({ length: 41 }, (_, n) => n).filter((n) => n !== 0 && n !== 13));
    expect(steps.slice(39).map(({ call }) => call)).toEqual(["setgroups", "setresgid", "setresuid", "capset", "prctl"]);
    const kept = 1 | (1 << 13);
    expect(words(steps.find(({ call }) => call === "capset")?.args[1])).toEqual([kept, kept, 0, 0, 0, 0]);
  });

  it("keeps no more than the starting thread has, and nothing for another user than root", () => {
    const capsetOf = (uid: number, permitted: bigint) =>
      words(
        rightsSteps({ capabilities: ["chown", "kill"], user: { uid, gid: 1, groups: [] } }, permitted).find(
          ({ call }) => call === "capset",
        )?.args[1],
      );
    expect(capsetOf(0, 1n)).toEqual([1, 1, 0, 0, 0, 0]);
    expect(capsetOf(1000, ALL)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it("leaves privileges to be gained where that is allowed", () => {
    const last = (mayGainPrivileges: boolean) => rightsSteps({ capabilities: [], mayGainPrivileges }, ALL).at(-1)?.call;
    expect([last(false), last(true)]).toEqual(["prctl", "capset"]);
  });

  it("reads what a thread has from proc_pid_status(5)", () => {
    expect(permittedCapabilities("CapInh:\t0\nCapPrm:\t00000000a80425fb\nCapEff:\t0\n")).toBe(0xa80425fbn);
  });
});
