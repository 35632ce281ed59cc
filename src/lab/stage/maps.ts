import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { promisify } from "node:util";
import { PodwireError } from "#base/errors.ts";

const run = promisify(execFile);

/** Ids of a lab started by root: an unprivileged range above those that systemd and subuid tools hand out. */
export const ROOT_LAB_IDS = { first: 1_900_000_000, count: 65_536 } as const;

/** A line of a uid_map: `inside outside count` (user_namespaces(7)). */
export type IdMap = readonly (readonly [inside: number, outside: number, count: number])[];

/** How ids of the lab map to ids of the machine. */
export interface IdPlan {
  /**
   * `root`: written by root. `subid`: by newuidmap and newgidmap. `single`: only our own id is mapped. `machine`: there
   * is no user namespace, ids are those of the machine.
   */
  readonly kind: "root" | "subid" | "single" | "machine";
  readonly uid: IdMap;
  readonly gid: IdMap;
}

/**
 * The first range of at least 65,536 ids that a file like /etc/subuid gives to a user.
 * @param text the file's content: lines of `user:first:count` (subuid(5))
 */
export function subidRange(text: string, user: string, id: number): { first: number; count: number } | undefined {
  for (const line of text.split("\n")) {
    const [owner, first, count] = line.split(":");
    if ((owner === user || owner === String(id)) && Number(count) >= 65_536)
      return { first: Number(first), count: 65_536 };
  }
  return undefined;
}

function readOptional(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Where Debian and its kin install the set-uid helpers of the package uidmap. */
const HELPERS = ["/usr/bin/newuidmap", "/usr/bin/newgidmap"];

/**
 * Chooses the id maps for the user that runs this process.
 * @param privileged no user namespace is wanted; only root may do without
 */
export function planIds(privileged = false): IdPlan {
  if (privileged) return { kind: "machine", uid: [], gid: [] };
  const hasTools = HELPERS.every((path) => existsSync(path));
  const { uid, gid, username } = userInfo();
  if (uid === 0) {
    const map: IdMap = [[0, ROOT_LAB_IDS.first, ROOT_LAB_IDS.count]];
    return { kind: "root", uid: map, gid: map };
  }
  const uids = subidRange(readOptional("/etc/subuid"), username, uid);
  const gids = subidRange(readOptional("/etc/subgid"), username, uid);
  if (hasTools && uids && gids) {
    // 65,535 ids of the range: inside, id 0 is our own.
    const map = (own: number, range: { first: number; count: number }): IdMap => [
      [0, own, 1],
      [1, range.first, range.count - 1],
    ];
    return { kind: "subid", uid: map(uid, uids), gid: map(gid, gids) };
  }
  return { kind: "single", uid: [[0, uid, 1]], gid: [[0, gid, 1]] };
}

/**
 * Writes the id maps of a process that has just made its user namespace.
 * @param pid as this process sees it
 * @throws PodwireError "IdMapFailed" with the helper's own message
 */
export async function writeIdMaps(pid: number, plan: IdPlan): Promise<void> {
  try {
    if (plan.kind === "subid") {
      const words = (map: IdMap): string[] => map.flat().map(String);
      await run("/usr/bin/newuidmap", [String(pid), ...words(plan.uid)]);
      await run("/usr/bin/newgidmap", [String(pid), ...words(plan.gid)]);
      return;
    }
    // Without newgidmap a group map is refused as long as setgroups(2) is allowed (user_namespaces(7)).
    if (plan.kind === "single") writeFileSync(`/proc/${pid}/setgroups`, "deny");
    writeFileSync(`/proc/${pid}/uid_map`, text(plan.uid));
    writeFileSync(`/proc/${pid}/gid_map`, text(plan.gid));
  } catch (error) {
    throw new PodwireError(
      "IdMapFailed",
      `mapping user ids failed: ${(error as Error).message.trim()}; run: podwire doctor`,
      {},
      error,
    );
  }
}

const text = (map: IdMap): string => map.map((line) => line.join(" ")).join("\n");
