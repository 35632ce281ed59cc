import {
  MessageWriter,
  NETLINK,
  NetlinkError,
  type NetlinkMessage,
  NetlinkSocket,
  NLM_F,
  parseAttributes,
} from "#kernel/netlink/index.ts";
import { ELEMENTS, GENERATION, NFT_MSG, RULE, SET } from "./constants.ts";
import {
  messageFamily,
  readChain,
  readElements,
  readRule,
  readRuleHandle,
  readSet,
  readTable,
  shapesOf,
} from "./decode.ts";
import type { Nftables } from "./driver.ts";
import { beginMessage, type EncodedTransaction, encodeTransaction } from "./encode.ts";
import { NftError } from "./errors.ts";
import {
  type Chain,
  type Element,
  familyNumbers,
  type NftSet,
  type Rule,
  type Table,
  type TableState,
} from "./model.ts";
import { type OriginFinder, OriginRecorder } from "./originIndex.ts";
import { type ElementList, PackedElements } from "./packed.ts";
import { batch, cutIntoSends } from "./sends.ts";
import { TableWatch } from "./tableWatch.ts";
import { elementKeyText } from "./text.ts";
import { type Operation, operationText, type Transaction } from "./transaction.ts";

/** Settings of {@link openNftables}. */
export interface NftablesOptions {
  /**
   * Most bytes of one send (default 400,000: a stock kernel takes about 416 KB from a process without
   * CAP_NET_ADMIN in the initial namespace). Larger transactions go in several sends.
   */
  readonly maxSendBytes?: number;
  /** Told after each commit in how many sends it went. */
  readonly onCommit?: (sends: number) => void;
}

const DEFAULT_MAX_SEND_BYTES = 400_000;

/** During commits larger than this nobody is told of changes: they would be told of each of ours. */
const QUIET_BYTES = 65_536;

/**
 * nftables of the network namespace that is current now (later changes of namespace do not matter).
 * @throws SysError
 */
export function openNftables(options: NftablesOptions = {}): Nftables {
  return new KernelNftables(options.maxSendBytes ?? DEFAULT_MAX_SEND_BYTES, options.onCommit);
}

class KernelNftables implements Nftables {
  readonly origins = new OriginRecorder();
  readonly #socket: NetlinkSocket;
  /** For large commits, during which this process does something else. */
  readonly #aside: NetlinkSocket;
  readonly #maxSendBytes: number;
  readonly #onCommit: ((sends: number) => void) | undefined;
  readonly #watch = new TableWatch({
    generation: () => this.#generation(),
    port: () => this.#port(),
  });
  /** The commit in progress: commits of several sends give way to the event loop between them, not to each other. */
  #last: Promise<void> = Promise.resolve();

  constructor(maxSendBytes: number, onCommit: ((sends: number) => void) | undefined) {
    this.#maxSendBytes = maxSendBytes;
    this.#onCommit = onCommit;
    // The kernel grants twice what is asked for (212,992 at most on a stock system), and a send may be that long.
    const sendBuffer = Math.ceil(maxSendBytes / 2) + 4096;
    this.#socket = new NetlinkSocket(NETLINK.NETFILTER, { sendBuffer, receiveBuffer: 4 << 20 });
    this.#aside = new NetlinkSocket(NETLINK.NETFILTER, { sendBuffer, receiveBuffer: 4 << 20 });
  }

  async commit(transaction: Transaction): Promise<void> {
    if (transaction.isEmpty) return;
    // The messages of the next are made while the kernel is at work on the last.
    const encoded = encodeTransaction(transaction);
    const run = this.#last.then(() => this.#commit(transaction, encoded));
    this.#last = run.catch(() => {});
    await run;
  }

  async listTables(): Promise<Table[]> {
    return this.#dump(NFT_MSG.GETTABLE, 0)
      .map(readTable)
      .filter((table) => table !== undefined);
  }

  async readTable(table: Table): Promise<TableState | undefined> {
    const found = (await this.listTables()).find(({ family, name }) => family === table.family && name === table.name);
    if (!found) return undefined;
    const family = familyNumbers[found.family];
    const present = <T>(value: T | undefined): value is T => value !== undefined;
    const chains = this.#dump(NFT_MSG.GETCHAIN, family)
      .map((message) => readChain(message, found))
      .filter(present);
    const sets = this.#dump(NFT_MSG.GETSET, family, (w) => w.attributeText(SET.TABLE, found.name))
      .map((message) => readSet(message, found))
      .filter(present);
    const elements = new Map<string, readonly Element[]>();
    for (const set of sets) elements.set(set.name, await this.readElements(set));
    return {
      table: found,
      chains,
      sets,
      rules: this.#readRules(found, chains, sets),
      elements,
    };
  }

  async readElements(set: NftSet): Promise<Element[]> {
    try {
      return this.#dump(NFT_MSG.GETSETELEM, familyNumbers[set.table.family], (w) =>
        w.attributeText(ELEMENTS.TABLE, set.table.name).attributeText(ELEMENTS.SET, set.name),
      ).flatMap(readElements);
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      const reason = error.failures[0]?.reason ?? "";
      throw new NftError(`elements of ${set.table.name} ${set.name}`, {
        code: error.code,
        reason,
        committedSends: 0,
      });
    }
  }

  adoptRules(rules: readonly Rule[]): void {
    this.origins.adoptRules(rules);
  }

  adoptElements(set: NftSet, elements: readonly Element[]): void {
    this.origins.adoptElements(set, elements);
  }

  tellOrigins(table: Table, find: OriginFinder): () => void {
    return this.origins.tell(table, find);
  }

  onForeignChange(listener: (table: Table | undefined) => void): () => void {
    return this.#watch.listen(listener);
  }

  close(): void {
    this.#watch.close();
    this.#socket.close();
    this.#aside.close();
  }

  /** A socket has its port from its first request on. */
  #port(): number {
    if (this.#socket.port === 0) this.#generation();
    return this.#socket.port;
  }

  #generation(): number {
    const [answer] = this.#socket.request(beginMessage(new MessageWriter(64), NFT_MSG.GETGEN, 0, 0).end());
    return answer ? (parseAttributes(answer.payload.subarray(4)).get(GENERATION.ID)?.readUInt32BE() ?? 0) : 0;
  }

  async #commit(transaction: Transaction, encoded: EncodedTransaction): Promise<void> {
    const sends = cutIntoSends(encoded.messages, this.#maxSendBytes);
    const isLarge = encoded.writer.bytes().length > QUIET_BYTES;
    if (isLarge) this.#watch.pause();
    let done = 0;
    try {
      for (const send of sends) {
        if (done > 0 && !isLarge) await new Promise(setImmediate);
        const messages = batch(encoded, send);
        const answer = isLarge ? this.#aside.requestAside(messages) : this.#socket.request(messages);
        this.#record(transaction, encoded, send, answer instanceof Promise ? await answer : answer);
        done++;
      }
      this.#onCommit?.(done);
    } catch (error) {
      throw error instanceof NetlinkError ? explain(error, transaction, encoded, done) : error;
    } finally {
      if (isLarge) this.#watch.resume(done);
    }
  }

  /** Learns the handles of new rules from the kernel's echoes, which come in the order of the requests. */
  #record(
    transaction: Transaction,
    { messages }: EncodedTransaction,
    [from, to]: readonly [number, number],
    echoes: NetlinkMessage[],
  ): void {
    const handles = echoes
      .filter((message) => message.type === NFT_MSG.NEWRULE)
      .map((message) => readRuleHandle(message).handle);
    let recorded = -1;
    for (const message of messages.slice(from, to)) {
      const operation = transaction.operations[message.operation];
      if (!operation) continue;
      if ("elements" in operation && message.elements) {
        if (operation.elements instanceof PackedElements) continue;
        // A large operation goes in many messages and sends: each has its share of the elements.
        this.origins.record({ ...operation, elements: operation.elements.slice(...message.elements) });
        continue;
      }
      if (message.operation === recorded) continue;
      recorded = message.operation;
      const makesRule =
        operation.kind === "add rule" || operation.kind === "insert rule" || operation.kind === "replace rule";
      this.origins.record(operation, makesRule ? handles.shift() : undefined);
    }
  }

  #readRules(table: Table, chains: readonly Chain[], sets: readonly NftSet[]): Map<string, readonly Rule[]> {
    const rules = new Map<string, Rule[]>(chains.map((chain) => [chain.name, []]));
    const shapes = shapesOf(sets);
    const byName = new Map(chains.map((chain) => [chain.name, chain]));
    const chainOf = (name: string) => byName.get(name) ?? { table, name };
    const messages = this.#dump(NFT_MSG.GETRULE, familyNumbers[table.family], (w) =>
      w.attributeText(RULE.TABLE, table.name),
    );
    for (const message of messages) {
      const rule = readRule(message, chainOf, shapes);
      rules.get(rule.chain.name)?.push(rule);
    }
    return rules;
  }

  #dump(type: number, family: number, attributes: (writer: MessageWriter) => void = () => {}): NetlinkMessage[] {
    const writer = beginMessage(new MessageWriter(256), type, NLM_F.DUMP, family);
    attributes(writer);
    return this.#socket.dump(writer.end()).filter((message) => messageFamily(message) !== undefined);
  }
}

/** Finds what a refused message was about. */
function explain(
  error: NetlinkError,
  transaction: Transaction,
  encoded: EncodedTransaction,
  committedSends: number,
): NftError {
  const { code } = error;
  const first = error.failures[0];
  const reason = first?.reason ?? "";
  const message = encoded.messages[error.index];
  const operation = message && transaction.operations[message.operation];
  if (!message || !operation) return new NftError("batch", { code, reason, committedSends });
  const element = "elements" in operation ? elementAt(operation, encoded, error.index, first?.offset) : undefined;
  const what =
    "elements" in operation && element
      ? `${operation.kind} ${operation.set.table.family} ${operation.set.table.name} ${operation.set.name} { ${elementKeyText(operation.set, element.key)} }`
      : shortened(operationText(operation));
  return new NftError(what, {
    code,
    reason,
    operation,
    committedSends,
    ...(element && { element }),
  });
}

function shortened(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)} …` : text;
}

/** The element of a message at whose bytes the kernel pointed; the only one when there is but one. */
function elementAt(
  operation: Extract<Operation, { elements: ElementList }>,
  { writer, messages }: EncodedTransaction,
  index: number,
  offset: number | undefined,
): Element | undefined {
  const message = messages[index];
  if (!message?.elements) return undefined;
  const [from, to] = message.elements;
  if (to - from === 1) return operation.elements.at(from);
  if (offset === undefined) return undefined;
  const bytes = writer.bytes().subarray(message.start, message.end);
  // nlmsghdr and nfgenmsg, then table, set, and the list whose entries are counted here.
  let at = 20;
  while (at + 4 <= bytes.length && (bytes.readUInt16LE(at + 2) & 0x3fff) !== ELEMENTS.LIST)
    at += align(bytes.readUInt16LE(at));
  let element = from;
  for (at += 4; at + 4 <= bytes.length; at += align(bytes.readUInt16LE(at)), element++) {
    if (offset < at + align(bytes.readUInt16LE(at))) return operation.elements.at(element);
  }
  return undefined;
}

function align(length: number): number {
  return (length + 3) & ~3;
}
