import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { inNetns, type Netns, newNetns } from "#kernel/namespaces/index.ts";
import { MessageWriter, NETLINK, NetlinkSocket } from "#kernel/netlink/index.ts";
import {
  dataTypes,
  type Element,
  hostU32,
  type Nftables,
  NftError,
  type NftSet,
  openNftables,
  Transaction,
} from "#kernel/nft/index.ts";

const table = { family: "ip", name: "podwire-sends" } as const;
const numbers: NftSet = { table, name: "numbers", key: [dataTypes.mark], data: [dataTypes.mark] };
const elements = (count: number, from = 0): Element[] =>
  Array.from({ length: count }, (_, i) => ({
    key: hostU32(from + i),
    data: hostU32(i),
    origin: { kind: "Number", name: `${from + i}` },
  }));

describe("nftables transactions and sends", () => {
  let netns: Netns;
  let nft: Nftables;
  const held = async () => (await nft.readElements(numbers)).length;

  beforeEach(async () => {
    netns = newNetns();
    // The send buffer is asked for such that more than a stock kernel takes (416 KB) would fail here too.
    nft = inNetns(netns, () => openNftables());
    await nft.commit(new Transaction().addTable(table).addSet(numbers));
  });
  afterEach(() => {
    nft.close();
    netns.close();
  });

  it("more than one send holds goes in several", async () => {
    await nft.commit(new Transaction().addElements(numbers, elements(30_000)));
    expect(await held()).toBe(30_000);
    expect(nft.origins.element("ip", table.name, numbers.name, hostU32(29_999))?.name).toBe("29999");
    await nft.commit(new Transaction().deleteElements(numbers, elements(30_000)));
    expect(await held()).toBe(0);
  });

  it("operations that belong together and exceed one send are refused before anything is sent", async () => {
    const tooLarge = new Transaction();
    tooLarge.together(() => {
      tooLarge.addElements(numbers, elements(8_000, 50_000));
      tooLarge.addElements(numbers, elements(8_000, 70_000));
    });
    await expect(nft.commit(tooLarge)).rejects.toThrow(/belong together exceed the limit of 400000 bytes/);
    expect(await held()).toBe(0);
  });

  it("the kernel takes no more than a stock one from this socket, so the limit is a real one", async () => {
    const socket = inNetns(netns, () => new NetlinkSocket(NETLINK.NETFILTER, { sendBuffer: 204_096 }));
    const writer = new MessageWriter().raw(new Uint8Array(416_000));
    expect(() => socket.request(writer)).toThrow(/EMSGSIZE/);
    socket.close();
  });

  it("a refusal in one send leaves nothing behind", async () => {
    const transaction = new Transaction()
      .addElements(numbers, elements(1000))
      .deleteElements(numbers, elements(1, 99_999));
    const error = await nft.commit(transaction).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "ENOENT", committedSends: 0 });
    expect(await held()).toBe(0);
    expect(nft.origins.element("ip", table.name, numbers.name, hostU32(5))).toBeUndefined();
  });

  it("a refusal in a later send says how many took effect", async () => {
    const transaction = new Transaction()
      .addElements(numbers, elements(20_000))
      .deleteElements(numbers, elements(1, 99_999));
    const error = await nft.commit(transaction).catch((e: unknown) => e);
    if (!(error instanceof NftError)) throw error;
    expect(error.committedSends).toBeGreaterThan(0);
    expect(error.message).toContain("took effect");
    expect(await held()).toBeGreaterThan(0);
    expect(await held()).toBeLessThan(20_000);
  });

  it("a replaced element is never missing between two sends", async () => {
    await nft.commit(new Transaction().addElements(numbers, elements(15_000)));
    const socket = inNetns(netns, () => new NetlinkSocket(NETLINK.NETFILTER));
    // One lookup, as a packet's; a dump is no picture of an instant while the kernel is at work on a transaction.
    const isThere = (key: number): boolean => {
      const request = getElement(numbers, hostU32(key));
      return socket.request(request).length === 1;
    };
    expect(() => isThere(15_000)).toThrow(/ENOENT/);
    const changed = elements(15_000).map((element) => ({ ...element, data: hostU32(7) }));
    let done = false;
    const commit = nft.commit(new Transaction().replaceElements(numbers, changed)).finally(() => {
      done = true;
    });
    let lookups = 0;
    while (!done) {
      for (let i = 0; i < 500; i++, lookups++) expect(isThere((lookups * 7919) % 15_000)).toBe(true);
      await new Promise(setImmediate);
    }
    await commit;
    socket.close();
    expect(lookups).toBeGreaterThan(1000);
  });
});

/** NFT_MSG_GETSETELEM for one key (<linux/netfilter/nf_tables.h>); refused with ENOENT where it is not there. */
function getElement({ table: { name }, name: set }: NftSet, key: Uint8Array): MessageWriter {
  const writer = new MessageWriter(256).begin(0x0a0d, 1).u8(2).u8(0).u16be(0);
  return writer
    .attributeText(1, name)
    .attributeText(2, set)
    .nest(3, () => writer.nest(1, () => writer.nest(1, () => writer.attribute(1, key))))
    .end();
}
