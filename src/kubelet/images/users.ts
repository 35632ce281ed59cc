import { lstatSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import type { ContainerImage, ImageUser } from "./source.ts";

/** Bytes of a passwd or group file that are looked at. */
const MAX_FILE = 4 * 1024 * 1024;
const MAX_ID = 2 ** 31 - 1;

/** A file in a folder of the highest layer that has it, or hides it; links, the folder's too, are not followed. */
function textIn(layers: readonly string[], path: string): string {
  for (const layer of layers.toReversed()) {
    // An absolute one would lead to the node's own.
    if (lstatSync(layer + dirname(path), { throwIfNoEntry: false })?.isSymbolicLink()) return "";
    const stat = lstatSync(layer + path, { throwIfNoEntry: false });
    if (!stat) continue;
    return stat.isFile() && stat.size <= MAX_FILE ? readFileSync(layer + path, "utf8") : "";
  }
  return "";
}

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

function accounts(text: string): Account[] {
  return text.split("\n").flatMap((line) => {
    const [name = "", , uid = "", gid = "", , home = ""] = line.split(":");
    return /^\d+$/.test(uid) && /^\d+$/.test(gid) ? [{ name, uid: Number(uid), gid: Number(gid), home }] : [];
  });
}

function groups(text: string): { name: string; gid: number; members: string[] }[] {
  return text.split("\n").flatMap((line) => {
    const [name = "", , gid = "", members = ""] = line.split(":");
    return /^\d+$/.test(gid) ? [{ name, gid: Number(gid), members: members.split(",") }] : [];
  });
}

const asId = (text: string): number | undefined =>
  /^\d{1,10}$/.test(text) && Number(text) <= MAX_ID ? Number(text) : undefined;

/**
 * Whom a command line means by `user`, `uid`, `user:group`, `uid:gid` in an image; a template's users are in its files.
 * @throws Error as imageUser()
 */
export function namedUser(text: string, image: Pick<ContainerImage, "files" | "layers">): ImageUser | undefined {
  const own = (path: string) => {
    const file = image.files.find((candidate) => candidate.path === path);
    return file && "text" in file ? file.text : "";
  };
  return userIn(text, (path) => (image.layers ? textIn(image.layers, path) : own(path))).user;
}

/**
 * Whom an image's configuration means by `user`, `uid`, `user:group`, `uid:gid` (image-spec config.md, User).
 * @param layers folders of the image's layers, the lowest first
 * @throws Error in the words of containerd for a name that the image does not know
 */
export function imageUser(text: string, layers: readonly string[]): { user?: ImageUser; home: string } {
  return userIn(text, (path) => textIn(layers, path));
}

/** @param read text of a file of the image */
function userIn(text: string, read: (path: string) => string): { user?: ImageUser; home: string } {
  const [name = "", group = ""] = text.split(":");
  const known = accounts(read("/etc/passwd"));
  const id = asId(name === "" ? "0" : name);
  const account = id === undefined ? known.find((a) => a.name === name) : known.find((a) => a.uid === id);
  if (id === undefined && !account) throw new Error(`unable to find user ${name}: no matching entries in passwd file`);
  const home = account?.home || (id === 0 ? "/root" : "/");
  if (text === "") return { home };
  const list = groups(read("/etc/group"));
  const gid = group === "" ? (account?.gid ?? 0) : (asId(group) ?? list.find((g) => g.name === group)?.gid);
  if (gid === undefined) throw new Error(`unable to find group ${group}: no matching entries in group file`);
  const more = group !== "" || !account ? [] : list.filter((g) => g.members.includes(account.name)).map((g) => g.gid);
  const user: ImageUser = {
    uid: account?.uid ?? id ?? 0,
    gid,
    ...(more.length > 0 ? { groups: more } : {}),
    ...(id === undefined ? { name } : {}),
  };
  return { user, home };
}
