import { describe, expect, it } from "vitest";
import { MAX_CLIENTS, RoundRobin } from "./roundRobin.ts";

/** A shuffle with this leaves every list as it is. */
const asGiven = () => 1 - Number.EPSILON;

function balancer(targets: readonly string[], affinitySeconds?: number) {
  const one = new RoundRobin<string>((target) => target);
  const update = (list: readonly string[], random = asGiven) => one.update(list, affinitySeconds, random);
  update(targets);
  const take = (count: number, client = "10.0.0.1") => Array.from({ length: count }, () => one.next(client, 0));
  return { one, update, take };
}

// What pkg/proxy/userspace/roundrobin_test.go of Kubernetes 1.25 asks of LoadBalancerRR.
describe("V04 round robin of the userspace mode (part: which endpoint a connection gets)", () => {
  it("nobody without endpoints; the only one every time", () => {
    expect(balancer([]).take(1)).toEqual([undefined]);
    expect(balancer(["a"]).take(3)).toEqual(["a", "a", "a"]);
  });

  it("each in turn, whoever asks", () => {
    const { one, take } = balancer(["a", "b", "c"]);
    expect(take(4)).toEqual(["a", "b", "c", "a"]);
    expect(one.next("10.0.0.2", 0)).toBe("b");
  });

  it("an update with the same endpoints in another order changes nothing; with others it begins anew", () => {
    const { update, take } = balancer(["a", "b", "c"]);
    take(1);
    update(["c", "b", "a"]);
    expect(take(2)).toEqual(["b", "c"]);
    update(["d", "e"]);
    expect(take(3)).toEqual(["d", "e", "d"]);
    update([]);
    expect(take(1)).toEqual([undefined]);
  });

  it("other endpoints come in an order by chance, each once", () => {
    const { update, take } = balancer([]);
    update(["a", "b", "c"], () => 0);
    const order = take(3);
    expect(order).not.toEqual(["a", "b", "c"]);
    expect(new Set(order)).toEqual(new Set(["a", "b", "c"]));
    expect(take(3)).toEqual(order);
  });
});

describe("V04 ClientIP affinity of the userspace mode (part: round robin)", () => {
  it("a client stays with its endpoint, others take the next", () => {
    const { take } = balancer(["a", "b", "c"], 10_800);
    expect(take(2, "10.0.0.1")).toEqual(["a", "a"]);
    expect(take(2, "10.0.0.2")).toEqual(["b", "b"]);
    expect(take(1, "10.0.0.1")).toEqual(["a"]);
  });

  it("until it was silent for the time-out, which each connection starts anew", () => {
    const { one } = balancer(["a", "b"], 10);
    expect([0, 9_999, 19_998].map((now) => one.next("10.0.0.1", now))).toEqual(["a", "a", "a"]);
    expect(one.next("10.0.0.1", 29_998)).toBe("b");
    expect(one.next("10.0.0.1", 29_999)).toBe("b");
  });

  it("until its endpoint does not answer", () => {
    const { one } = balancer(["a", "b"], 10);
    expect(one.next("10.0.0.1", 0)).toBe("a");
    expect(one.next("10.0.0.1", 0, true)).toBe("b");
    expect(one.next("10.0.0.1", 0)).toBe("b");
  });

  it("until its endpoint is gone, but not when others are", () => {
    const { update, take } = balancer(["a", "b", "c"], 10);
    take(1, "10.0.0.1");
    take(1, "10.0.0.2");
    update(["b", "c"]);
    expect(take(1, "10.0.0.2")).toEqual(["b"]);
    expect(take(1, "10.0.0.1")).toEqual(["b"]);
    update(["a", "b", "c"]);
    expect(take(1, "10.0.0.1")).toEqual(["b"]);
  });

  it("the client that was silent for the longest time makes room for more than can be remembered", () => {
    const { one } = balancer(["a", "b"], 10);
    expect(one.next("first", 0)).toBe("a");
    expect(one.next("second", 0)).toBe("b");
    for (let n = 0; n < MAX_CLIENTS - 2; n++) one.next(`client ${n}`, 0);
    expect(one.next("first", 1)).toBe("a");
    const turn = one.next("one more", 1);
    expect(one.next("first", 1)).toBe("a");
    // The second one was forgotten, and gets whoever's turn it is.
    expect(one.next("second", 1)).not.toBe(turn);
    expect(one.next("another", 1)).toBe(turn);
  });
});
