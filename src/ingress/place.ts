import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import type { NginxPlace } from "./plan.ts";

/** Users that nginx' workers may run as, in the order of preference. */
const workerUsers = ["www-data", "nginx", "nobody"];

/** Looks at the machine: IPv6, which user workers can become, whether standard output can be opened by name. */
export function describePlace(options: { httpPort: number; statusPort: number; directory: string }): NginxPlace {
  const user = workerUser();
  return {
    ...options,
    ipv6: existsSync("/proc/net/if_inet6"),
    ...(user === undefined ? {} : { user }),
    ...(canOpen("/dev/stdout") ? { accessLog: "/dev/stdout" } : {}),
  };
}

/**
 * The account for workers: an unprivileged one where this user namespace maps it and groups may be changed, else root
 * (a rootless lab without subordinate ids has only that). Undefined when not root: nginx then cannot change it.
 */
function workerUser(): string | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  if (readText("/proc/self/setgroups").trim() === "deny") return "root";
  const accounts = new Map(
    readText("/etc/passwd")
      .split("\n")
      .map((line) => line.split(":"))
      .map(([name = "", , uid = "", gid = ""]) => [name, { uid: Number(uid), gid: Number(gid) }] as const),
  );
  const groups = readText("/etc/group");
  const usable = (name: string) => {
    const account = accounts.get(name);
    // `user NAME` makes nginx look for a group of the same name.
    if (!account || !new RegExp(`^${name}:`, "m").test(groups)) return false;
    return isMapped("/proc/self/uid_map", account.uid) && isMapped("/proc/self/gid_map", account.gid);
  };
  return workerUsers.find(usable) ?? "root";
}

/** Whether an id exists in this user namespace (user_namespaces(7): first inside, first outside, count). */
function isMapped(file: string, id: number): boolean {
  return readText(file)
    .trim()
    .split("\n")
    .some((line) => {
      const [first = 0, , count = 0] = line.trim().split(/\s+/).map(Number);
      return id >= first && id < first + count;
    });
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** nginx opens its log by name, which fails where standard output is a socket. */
function canOpen(file: string): boolean {
  try {
    closeSync(openSync(file, "a"));
    return true;
  } catch {
    return false;
  }
}
