import {
  chmodSync,
  closeSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { hasCode } from "#base/errors.ts";
import { makeNamedPipe, makeWhiteout, setXattr } from "#kernel/files/index.ts";
import type { TarEntry, TarHandler } from "#wire/tar/index.ts";
import type { LayerLimits } from "./limits.ts";
import type { Owners } from "./owners.ts";
import { partsOf, pathIn, refuseEntry, resolveFolder, shown } from "./paths.ts";

/** Names by which a layer says what of those below it is gone (image-spec layer.md, Whiteouts). */
const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";
/** Attribute of overlayfs for a folder that hides what is below it, in mounts with `userxattr`. */
const OPAQUE_XATTR = "user.overlay.opaque";
/** Attributes that a layer may set: capabilities of programs, and users' own ones, but none that overlayfs reads. */
const isKept = (name: string) =>
  name === "security.capability" || (name.startsWith("user.") && !name.startsWith("user.overlay."));
const MAX_XATTR = 64 * 1024;

/**
 * Writes a layer's entries into a folder of its own, in the form in which overlayfs takes it as a lower layer.
 * Nothing is written outside of the folder; whoever else may write into it meanwhile could break that.
 */
export class LayerWriter implements TarHandler {
  readonly #root: string;
  readonly #limits: LayerLimits;
  readonly #owners: Owners;
  readonly #folderTimes = new Map<string, number>();
  #file: { readonly fd: number; readonly path: Buffer; readonly entry: TarEntry } | undefined;
  #bytes = 0;

  /** @param root an empty folder */
  constructor(root: string, limits: LayerLimits, owners: Owners) {
    this.#root = root;
    this.#limits = limits;
    this.#owners = owners;
  }

  /** Bytes of all files' contents so far. */
  get bytes(): number {
    return this.#bytes;
  }

  entry(entry: TarEntry): void {
    const parts = partsOf(entry.name, this.#limits);
    const name = parts.at(-1);
    if (entry.type === "character" || entry.type === "block")
      throw refuseEntry(entry.name, `it is a ${entry.type} device`);
    this.#bytes += entry.size;
    if (this.#bytes > this.#limits.bytes)
      throw refuseEntry(entry.name, `with it the layer has more than ${this.#limits.bytes} bytes`);
    if (name === undefined) return this.#rootEntry(entry);
    const folder = this.#folder(parts.slice(0, -1), entry.name);
    if (name.startsWith(WHITEOUT)) return this.#whiteout(folder, name, entry);
    this.#make(entry, [...folder, name]);
  }

  data(chunk: Buffer): void {
    const file = this.#file;
    for (let done = 0; file && done < chunk.length; ) done += writeSync(file.fd, chunk, done);
  }

  end(): void {
    const file = this.#file;
    if (!file) return;
    this.#file = undefined;
    closeSync(file.fd);
    this.#describe(file.entry, file.path);
  }

  /** Sets what can be set at the end only: folders' times. */
  finish(): void {
    for (const [path, time] of this.#folderTimes) lutimesSync(Buffer.from(path, "latin1"), time, time);
  }

  /** Closes what is open after a failure. */
  abandon(): void {
    if (this.#file) closeSync(this.#file.fd);
    this.#file = undefined;
  }

  #rootEntry(entry: TarEntry): void {
    if (entry.type !== "folder") throw refuseEntry(entry.name, "it takes the place of the root");
    this.#describe(entry, pathIn(this.#root, []));
  }

  /** The folder of an entry; what is missing of it is made. */
  #folder(parts: readonly string[], entry: string): string[] {
    const resolved = resolveFolder(this.#root, parts, entry);
    for (let depth = 1; depth <= resolved.length; depth++) {
      const path = pathIn(this.#root, resolved.slice(0, depth));
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (stat?.isDirectory()) continue;
      if (stat && !stat.isCharacterDevice())
        throw refuseEntry(entry, `${shown(resolved.slice(0, depth).join("/"))} is no folder`);
      if (stat) rmSync(path);
      mkdirSync(path, { mode: 0o755 });
      if (stat) hideBelow(path);
    }
    return resolved;
  }

  #whiteout(folder: readonly string[], name: string, entry: TarEntry): void {
    if (name === OPAQUE) return hideBelow(pathIn(this.#root, folder));
    // Aufs kept things of its own under such names.
    if (name.startsWith(`${WHITEOUT}${WHITEOUT}`)) return;
    const hidden = name.slice(WHITEOUT.length);
    if (hidden === "" || hidden === "." || hidden === "..")
      throw refuseEntry(entry.name, "it hides nothing that has a name");
    const path = pathIn(this.#root, [...folder, hidden]);
    const there = lstatSync(path, { throwIfNoEntry: false });
    // What this very layer brings stays, whatever the order.
    if (!there) makeWhiteout(path);
    else if (there.isDirectory()) hideBelow(path);
  }

  #make(entry: TarEntry, parts: readonly string[]): void {
    const path = pathIn(this.#root, parts);
    const there = lstatSync(path, { throwIfNoEntry: false });
    const isMerged = entry.type === "folder" && there?.isDirectory();
    if (there && !isMerged) rmSync(path, { recursive: true });
    switch (entry.type) {
      case "folder":
        if (!isMerged) mkdirSync(path, { mode: 0o700 });
        if (there?.isCharacterDevice()) hideBelow(path);
        break;
      case "file":
        this.#file = { fd: openSync(path, "wx", 0o600), path, entry };
        return;
      case "symlink":
        this.#symlink(entry, path);
        break;
      case "link":
        linkSync(this.#linkTarget(entry), path);
        return;
      default:
        makeNamedPipe(path, 0o600);
    }
    this.#describe(entry, path);
  }

  #symlink(entry: TarEntry, path: Buffer): void {
    if (entry.target === "" || entry.target.length > this.#limits.path || entry.target.includes("\0"))
      throw refuseEntry(entry.name, "a symbolic link to nothing that could be a path");
    symlinkSync(Buffer.from(entry.target, "latin1"), path);
  }

  #linkTarget(entry: TarEntry): Buffer {
    if (entry.target.startsWith("/"))
      throw refuseEntry(entry.name, `a hard link to ${shown(entry.target)}: an absolute link leaves the root`);
    const parts = partsOf(entry.target, this.#limits, entry.name);
    const name = parts.at(-1);
    if (name === undefined) throw refuseEntry(entry.name, "a hard link to the root");
    const path = pathIn(this.#root, [...resolveFolder(this.#root, parts.slice(0, -1), entry.name), name]);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (!stat || stat.isDirectory() || stat.isCharacterDevice())
      throw refuseEntry(entry.name, `a hard link to ${shown(entry.target)}, which is no file of this layer`);
    return path;
  }

  /** Owner, mode, attributes and time. */
  #describe(entry: TarEntry, path: Buffer): void {
    this.#own(entry, path);
    // The owner first: a change of it takes set-uid bits and capabilities away.
    if (entry.type !== "symlink") chmodSync(path, entry.mode);
    for (const [name, value] of Object.entries(entry.xattrs))
      if (isKept(name)) this.#attribute(entry, path, name, value);
    if (entry.type === "folder") this.#folderTimes.set(path.toString("latin1"), entry.mtime);
    else lutimesSync(path, entry.mtime, entry.mtime);
  }

  #own({ name, uid, gid }: TarEntry, path: Buffer): void {
    if (this.#owners.single) return;
    const strange = [uid, gid].find((id) => !this.#owners.has(id));
    if (strange !== undefined)
      throw refuseEntry(name, `its owner ${strange} is none of the ids that clusters have here`);
    lchownSync(path, uid, gid);
  }

  #attribute({ name }: TarEntry, path: Buffer, attribute: string, value: Buffer): void {
    if (value.length > MAX_XATTR) throw refuseEntry(name, `its attribute ${attribute} has ${value.length} bytes`);
    try {
      setXattr(path, attribute, value);
    } catch (error) {
      // Symbolic links have none of users' own, and some file systems have none at all: programs do without.
      if (attribute === "security.capability" || !(hasCode(error, "EPERM") || hasCode(error, "EOPNOTSUPP")))
        throw error;
    }
  }
}

/** What lower layers have in a folder is gone. */
function hideBelow(path: Buffer): void {
  setXattr(path, OPAQUE_XATTR, Buffer.from("y"));
}
