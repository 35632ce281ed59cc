import { AF, check, isErrno, libc } from "#kernel/ffi/index.ts";
import { attributeText, NETLINK, type NetlinkMessage, NetlinkSocket, parseAttributes } from "#kernel/netlink/index.ts";
import { NFT_MSG, RULE } from "./constants.ts";
import { messageFamily } from "./decode.ts";
import type { Table } from "./model.ts";

/** Multicast group of changes to tables (NFNLGRP_NFTABLES), and the socket options that join and leave one. */
const GROUP = 7;
const SOL_NETLINK = 270;
const MEMBERSHIP = { ADD: 1, DROP: 2 } as const;

/** How often notifications are looked at, in ms. One look is one system call. */
const PERIOD_MS = 500;

type Listener = (table: Table | undefined) => void;

/** What the watch has to know about the socket that the driver's own changes go through. */
export interface OwnChanges {
  /** Its netlink port. */
  port(): number;
  /** Number of the ruleset: one more with each commit of anybody. */
  generation(): number;
}

/**
 * Notices changes of others to the tables of a network namespace, by the kernel's notifications, which name the port of
 * whom they are owed to.
 *
 * A notification for each of 100,000 elements would make a commit slow and fill the queue. So the group is left for a
 * large commit of our own; whether somebody came in between is known by the number of the ruleset.
 */
export class TableWatch {
  readonly #socket = new NetlinkSocket(NETLINK.NETFILTER, { receiveBuffer: 1 << 20 });
  readonly #own: OwnChanges;
  readonly #listeners = new Set<Listener>();
  #timer: NodeJS.Timeout | undefined;
  #expected: number | undefined;

  /** Of the network namespace that is current now. */
  constructor(own: OwnChanges) {
    this.#own = own;
    // The kernel leaves out sockets that have no port yet.
    const address = Buffer.alloc(12);
    address.writeUInt16LE(AF.NETLINK, 0);
    check(libc.bind(this.#socket.fd, address, address.length), "bind", "netlink");
  }

  /** Calls back with the table that somebody else changed; undefined when it cannot be told. @returns ends it */
  listen(listener: Listener): () => void {
    if (this.#listeners.size === 0) {
      this.#membership(MEMBERSHIP.ADD);
      this.#timer = setInterval(() => this.look(), PERIOD_MS).unref();
    }
    this.#listeners.add(listener);
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#end();
    };
  }

  /** A large commit of ours begins. */
  pause(): void {
    if (this.#listeners.size === 0) return;
    this.look();
    this.#expected = this.#own.generation();
    this.#membership(MEMBERSHIP.DROP);
  }

  /** It has ended, after so many batches that went through. */
  resume(batches: number): void {
    const expected = this.#expected;
    this.#expected = undefined;
    if (expected === undefined || this.#listeners.size === 0) return;
    this.#membership(MEMBERSHIP.ADD);
    if (this.#own.generation() !== expected + batches) this.#tell(undefined);
  }

  /** Reports what has come. */
  look(): void {
    const port = this.#own.port();
    const seen = new Map<string, Table>();
    let isWhole = true;
    for (;;) {
      try {
        const messages = this.#socket.receive();
        if (!messages) break;
        for (const message of messages) {
          const table = message.port === port ? undefined : tableOf(message);
          if (table) seen.set(`${table.family} ${table.name}`, table);
        }
      } catch (error) {
        if (!isErrno(error, "ENOBUFS")) throw error;
        isWhole = false;
      }
    }
    for (const table of seen.values()) this.#tell(table);
    if (!isWhole) this.#tell(undefined);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
    this.#socket.close();
  }

  #end(): void {
    clearInterval(this.#timer);
    // Leaving a group that was left for a commit does no harm.
    this.#membership(MEMBERSHIP.DROP);
    this.look();
  }

  #tell(table: Table | undefined): void {
    for (const listener of this.#listeners) listener(table);
  }

  #membership(option: number): void {
    const group = Buffer.alloc(4);
    group.writeUInt32LE(GROUP);
    check(libc.setsockopt(this.#socket.fd, SOL_NETLINK, option, group, 4), "setsockopt", "NFNLGRP_NFTABLES");
  }
}

/** The table of a notification; undefined for what belongs to none, such as the ruleset's new number. */
function tableOf(message: NetlinkMessage): Table | undefined {
  if (message.type === NFT_MSG.NEWGEN) return undefined;
  const family = messageFamily(message);
  const name = parseAttributes(message.payload.subarray(4)).get(RULE.TABLE);
  // NFTA_TABLE_NAME and NFTA_*_TABLE are all attribute 1.
  return family && name ? { family, name: attributeText(name) } : undefined;
}
