import { describe, expect, it } from "vitest";
import { EventExpiry } from "./event-expiry.ts";
import { Store } from "./store/index.ts";

describe("Events", () => {
  it("go an hour after they last happened", () => {
    const store = new Store();
    const now = Date.parse("2026-01-01T12:00:00Z");
    const put = (name: string, fields: object) =>
      store.put("events", `default/${name}`, {
        apiVersion: "v1",
        kind: "Event",
        metadata: { name, namespace: "default" },
        ...fields,
      });
    put("old", { lastTimestamp: "2026-01-01T10:59:59Z" });
    put("again", {
      lastTimestamp: "2026-01-01T09:00:00Z",
      series: { lastObservedTime: "2026-01-01T11:30:00.000000Z" },
    });
    put("new", { lastTimestamp: "2026-01-01T11:00:01Z" });
    new EventExpiry(store).sweep(now);
    expect(store.list("events").map((e) => e.name)).toEqual(["again", "new"]);
  });
});
