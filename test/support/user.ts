import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe } from "vitest";

/** A throw-away user of this machine. */
export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  remove(): void;
}

const FIRST_RANGE = 200_000_000;
const RANGE = 65_536;
/** Users at a time whose ranges are apart. */
const USERS = 1000;

/** Makes a user with ranges of subordinate ids (subuid(5)). Needs root. */
function makeUser(options: { readonly subids: boolean }): User {
  const name = `pw${randomBytes(4).toString("hex")}`;
  execFileSync("useradd", [
    "--create-home",
    "--shell",
    "/bin/sh",
    "--key",
    "SUB_UID_COUNT=0",
    "--key",
    "SUB_GID_COUNT=0",
    name,
  ]);
  const [, , uid, gid, , home] = (
    readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .find((l) => l.startsWith(`${name}:`)) ?? ""
  ).split(":");
  if (options.subids) {
    const first = FIRST_RANGE + (Number(uid) % USERS) * RANGE;
    const range = `${first}-${first + RANGE - 1}`;
    execFileSync("usermod", ["--add-subuids", range, "--add-subgids", range, name]);
  }
  return {
    name,
    uid: Number(uid),
    gid: Number(gid),
    home: home ?? "",
    remove: () => void execFileSync("userdel", ["--remove", name], { stdio: "ignore" }),
  };
}

/** As whom a suite runs. */
export type Who = "root" | "an ordinary user" | "a user without subordinate ids";

/**
 * Whether a suite has the tests that come out the same whoever runs the cluster: in `npm test` the ordinary user's has
 * them, in the long tests each has.
 */
export const inFull = (who: Who): boolean => process.env["PODWIRE_LONG"] === "1" || who === "an ordinary user";

/** Why a suite cannot run as somebody here; undefined when it can. Only root becomes another user. */
function unableAs(who: Who): string | undefined {
  if (process.getuid?.() === 0 || who === "an ordinary user") return undefined;
  return `suites as ${who} need root`;
}

/** Whom suites run as: as root each of them, with a user made for it; as anybody else that user alone. */
export const people = {
  /**
   * Suites that differ in who runs them alone.
   * @param title with %s where it says who
   */
  describe<W extends Who>(title: string, whos: readonly W[], suite: (who: W) => void): void {
    for (const who of whos) {
      const skipReason = unableAs(who);
      const options = skipReason === undefined ? {} : { skip: true, meta: { skipReason } };
      describe(title.replace("%s", who), options, () => suite(who));
    }
  },
  /** The user to run as; undefined: as who runs the tests, be it root or the ordinary user in question. */
  user(who: Who, options: { readonly subids: boolean } = { subids: who === "an ordinary user" }): User | undefined {
    return who === "root" || process.getuid?.() !== 0 ? undefined : makeUser(options);
  },
};

declare module "vitest" {
  interface TaskMeta {
    /** Why a suite's tests are skipped, for the counts at the end of a run. */
    skipReason?: string;
  }
}
