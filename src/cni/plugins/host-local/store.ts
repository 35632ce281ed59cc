import { randomBytes } from "node:crypto";
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasCode } from "#base/errors.ts";
import { formatIp, type Ip, tryParseIp } from "#base/ip.ts";

const lastReserved = "last_reserved_ip.";
/** Of addresses' files; others in the directory need no closer look. */
const looksLikeIp = /^[\da-f.:]+$/i;
/** Between container and interface, as the reference plugin writes it. */
const separator = "\r\n";

/** Who has an address. */
export interface Owner {
  readonly containerId: string;
  readonly ifName: string;
}

/** An address in use. */
export interface Held {
  readonly ip: Ip;
  readonly owner: Owner;
}

/**
 * Addresses in use as files, in the reference plugin's layout, so that both can work on one directory:
 *
 * ```
 * <dataDir>/<network>/10.244.1.5            "<container id>\r\n<interface>"
 * <dataDir>/<network>/last_reserved_ip.0    "10.244.1.5", one file per range set
 * <dataDir>/<network>/lock                  flock(2)ed during each change
 * ```
 * Methods but `lockFile` want the lock held. They are synchronous and fit between two looks at the clock.
 */
export class AddressStore {
  readonly directory: string;
  readonly #known: Map<string, Held>;
  /** Names in the directory as they were read last; whoever uses this store holds the lock. */
  #listed: Set<string> | undefined;

  /** @param known addresses by file name as this process has read them before, kept by the caller */
  constructor(dataDir: string, network: string, known = new Map<string, Held>()) {
    this.directory = join(dataDir, network);
    this.#known = known;
    mkdirSync(this.directory, { recursive: true, mode: 0o755 });
  }

  /** The file to lock. */
  get lockFile(): string {
    return join(this.directory, "lock");
  }

  /**
   * Takes an address. The file appears with its content at once (link(2) of a finished one), so that a crash leaves
   * either nothing or an address with an owner.
   * @returns false when it is taken
   */
  reserve(ip: Ip, owner: Owner): boolean {
    const draft = join(this.directory, `.draft-${process.pid}-${randomBytes(4).toString("hex")}`);
    writeFileSync(draft, `${owner.containerId}${separator}${owner.ifName}`, { mode: 0o644 });
    try {
      linkSync(draft, this.#file(ip));
      this.#listed?.add(formatIp(ip));
      return true;
    } catch (error) {
      if (hasCode(error, "EEXIST")) return false;
      throw error;
    } finally {
      rmSync(draft, { force: true });
    }
  }

  /** Gives an address back. */
  release(ip: Ip): void {
    rmSync(this.#file(ip), { force: true });
    this.#listed?.delete(formatIp(ip));
  }

  /** All addresses in use with their owners. Files written by old versions have no interface: "". */
  entries(): Held[] {
    this.#known.clear();
    return this.#lookedUp();
  }

  /** Addresses of a container's interface. */
  addressesOf(owner: Owner): Ip[] {
    const isOwn = (entry: Held): boolean => owns(entry.owner, owner);
    const ips = (entries: readonly Held[]): Ip[] => entries.map((entry) => entry.ip);
    const found = this.#lookedUp().filter(isOwn);
    // Somebody else may have given an address away and taken it again between two looks: what is found is read anew.
    if (found.every(({ ip }) => owns(this.#ownerIn(formatIp(ip)), owner))) return ips(found);
    return ips(this.entries().filter(isOwn));
  }

  /** As addressesOf(), for who expects some: none is believed only of the files themselves. */
  heldBy(owner: Owner): Ip[] {
    const found = this.addressesOf(owner);
    if (found.length > 0) return found;
    this.#known.clear();
    return this.addressesOf(owner);
  }

  /** All addresses with owners that are known, or read now. Reading all of them each time made a pod cost as many. */
  #lookedUp(): Held[] {
    const names = readdirSync(this.directory);
    const present = new Set(names);
    this.#listed = present;
    for (const name of this.#known.keys()) if (!present.has(name)) this.#known.delete(name);
    return names.flatMap((name) => {
      const known = this.#known.get(name);
      if (known) return [known];
      const ip = looksLikeIp.test(name) ? tryParseIp(name) : undefined;
      if (!ip) return [];
      const held = { ip, owner: this.#ownerIn(name) };
      this.#known.set(name, held);
      return [held];
    });
  }

  #ownerIn(name: string): Owner {
    const [containerId = "", ifName = ""] = this.#read(name).trim().split(separator);
    return { containerId: containerId.trim(), ifName: ifName.trim() };
  }

  /** Whether the address is in use. A quick look without reading who has it. */
  names(): ReadonlySet<string> {
    return this.#listed ?? new Set(readdirSync(this.directory));
  }

  /** The address that was given out last from a range set. */
  lastReserved(set: number): Ip | undefined {
    try {
      return tryParseIp(this.#read(`${lastReserved}${set}`).trim());
    } catch (error) {
      if (hasCode(error, "ENOENT")) return undefined;
      throw error;
    }
  }

  /** Remembers the address that was given out last from a range set. */
  setLastReserved(set: number, ip: Ip): void {
    const draft = join(this.directory, `.draft-${process.pid}-last`);
    writeFileSync(draft, formatIp(ip), { mode: 0o644 });
    renameSync(draft, join(this.directory, `${lastReserved}${set}`));
  }

  #file(ip: Ip): string {
    return join(this.directory, formatIp(ip));
  }

  #read(name: string): string {
    return readFileSync(join(this.directory, name), "utf8");
  }
}

/** Whether an entry belongs to the owner. */
export function owns(entry: Owner, owner: Owner): boolean {
  return entry.containerId === owner.containerId && (entry.ifName === "" || entry.ifName === owner.ifName);
}
