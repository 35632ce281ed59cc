import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";

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

/** Makes a user with ranges of subordinate ids (subuid(5)). Needs root. */
export function makeUser(options: { readonly subids: boolean } = { subids: true }): User {
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
    const range = `${FIRST_RANGE}-${FIRST_RANGE + RANGE - 1}`;
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
