import { createSocket } from "node:dgram";
import { describe, expect, it } from "vitest";
import { connectDatagrams } from "./datagrams.ts";

describe("a UDP socket that is connected", () => {
  it("rejects when the kernel does not let it, and leaves no listener", async () => {
    const socket = createSocket("udp4");
    // connect(2): EACCES for a broadcast address without SO_BROADCAST, ENETUNREACH where there is no route at all.
    await expect(connectDatagrams(socket, 53, "255.255.255.255")).rejects.toMatchObject({
      code: expect.stringMatching(/^(EACCES|ENETUNREACH)$/),
    });
    expect(socket.listenerCount("error")).toBe(0);
    await connectDatagrams(socket, 53, "127.0.0.1");
    expect(socket.remoteAddress()).toMatchObject({ address: "127.0.0.1", port: 53 });
    socket.close();
  });
});
