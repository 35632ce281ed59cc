import { readFileSync } from "node:fs";
import type { SpawnRequest } from "./request.ts";
import type { Step } from "./script.ts";

/** capabilities(7) by number (linux/capability.h). */
const CAPABILITIES = [
  ...["chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap"],
  ...["linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner"],
  ...["sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice"],
  ...["sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap"],
  ...["mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf"],
  "checkpoint_restore",
];

/** linux/prctl.h */
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
/** _LINUX_CAPABILITY_VERSION_3 */
const CAPSET_VERSION = 0x2008_0522;

/** The capabilities that a thread has and may give on, as a set of bits. */
export function permittedCapabilities(status = readFileSync("/proc/thread-self/status", "latin1")): bigint {
  return BigInt(`0x${/^CapPrm:\s+([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
}

/** Names of the capabilities in a set of bits, as capabilities(7) without CAP_. */
export function capabilityNames(set: bigint): string[] {
  return CAPABILITIES.filter((_, n) => set & (1n << BigInt(n)));
}

function bits(names: readonly string[]): bigint {
  return names.reduce((set, name) => {
    const number = CAPABILITIES.indexOf(name);
    return number < 0 ? set : set | (1n << BigInt(number));
  }, 0n);
}

/** Header and data of capset(2): effective and permitted alike, nothing to inherit. */
function capset(set: bigint): Step {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(CAPSET_VERSION);
  const data = Buffer.alloc(24);
  for (const half of [0, 1]) {
    const word = Number((set >> BigInt(half * 32)) & 0xffff_ffffn);
    data.writeUInt32LE(word, half * 12);
    data.writeUInt32LE(word, half * 12 + 4);
  }
  return { call: "capset", args: [header, data] };
}

function identity({ uid, gid, groups }: NonNullable<SpawnRequest["user"]>): Step[] {
  const list = Buffer.alloc(groups.length * 4);
  for (const [i, group] of groups.entries()) list.writeUInt32LE(group, i * 4);
  return [
    ...(groups.length ? [{ call: "setgroups", args: [groups.length, list], detail: groups.join() } as const] : []),
    { call: "setresgid", args: [gid, gid, gid], detail: `${gid}` },
    { call: "setresuid", args: [uid, uid, uid], detail: `${uid}` },
  ];
}

/**
 * The steps by which a process gives up what it may not keep.
 * @param permitted what the starting thread has
 */
export function rightsSteps(
  { user, capabilities, mayGainPrivileges }: Pick<SpawnRequest, "user" | "capabilities" | "mayGainPrivileges">,
  permitted: bigint,
): Step[] {
  const kept = capabilities ? bits(capabilities) : undefined;
  const isRoot = (user?.uid ?? 0) === 0;
  return [
    // Capabilities that this kernel does not have yet cannot be dropped.
    ...(kept === undefined
      ? []
      : CAPABILITIES.flatMap((_, n): Step[] =>
          kept & (1n << BigInt(n)) ? [] : [{ call: "prctl", args: [PR_CAPBSET_DROP, n, 0, 0, 0], optional: true }],
        )),
    ...(user ? identity(user) : []),
    ...(kept === undefined ? [] : [capset(isRoot ? kept & permitted : 0n)]),
    ...(kept === undefined || mayGainPrivileges
      ? []
      : [{ call: "prctl", args: [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0] } as const]),
  ];
}
