import { describe, expect, it } from "vitest";
import { parseIp } from "#base/ip.ts";
import type { ConnectedSocket } from "#kernel/sockdiag/index.ts";
import { endConnected } from "./connectedSockets.ts";

const socket = (port: number): ConnectedSocket => ({
  family: 4,
  peer: parseIp("10.244.1.2"),
  port,
  cookie: Buffer.alloc(8),
  id: Buffer.alloc(48),
});

describe("V04 connected UDP sockets whose endpoint is gone (part: in several network namespaces)", () => {
  /** Namespaces of one socket to port 53 and one to port 54 each. */
  function namespaces(refusing: readonly string[], gone: readonly string[] = []) {
    const ended: string[] = [];
    const closed: string[] = [];
    const open = (file: string) => {
      if (gone.includes(file)) return undefined;
      return {
        connectedUdp: () => [socket(53), socket(54)],
        end(sockets: readonly ConnectedSocket[]) {
          if (refusing.includes(file)) throw new Error(`${file} refuses`);
          ended.push(...sockets.map(({ port }) => `${file} ${port}`));
          return sockets.length;
        },
        close: () => void closed.push(file),
      };
    };
    return { ended, closed, end: () => endConnected(["a", "b", "c"], ({ port }) => port === 53, open) };
  }

  it("those of all namespaces are ended; one that is gone is passed over", () => {
    const { ended, closed, end } = namespaces([], ["b"]);
    expect(end()).toBe(2);
    expect(ended).toEqual(["a 53", "c 53"]);
    expect(closed).toEqual(["a", "c"]);
  });

  it("where one refuses the others have their turn, and the first refusal is told", () => {
    const { ended, closed, end } = namespaces(["a", "b"]);
    expect(end).toThrow("a refuses");
    expect(ended).toEqual(["c 53"]);
    expect(closed).toEqual(["a", "b", "c"]);
  });
});
