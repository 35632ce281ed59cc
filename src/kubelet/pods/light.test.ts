import { describe, expect, it } from "vitest";
import type { EventRecorder } from "#api/index.ts";
import { ImageError } from "../images/index.ts";
import { testPod } from "../testing.ts";
import { LIGHT_ANNOTATION, PodLightness } from "./light.ts";
import type { ContainerUnit } from "./unit.ts";

describe("light pods (part: whether a pod is one)", () => {
  const pod = testPod({ containers: [{ name: "c", image: "i" }] }, { annotations: { [LIGHT_ANNOTATION]: "true" } });
  const events: string[] = [];
  const recorder = { event: (_o: unknown, _t: string, reason: string) => events.push(reason) };
  const lightness = () => new PodLightness(pod, { events: recorder as unknown as EventRecorder });
  const unit = (ask: () => Promise<object>, forget = () => {}) =>
    ({ container: { name: "c", image: "i" }, image: { ask, forget } }) as unknown as ContainerUnit;

  it("follows from its images", async () => {
    expect(await lightness().decide(pod, [unit(async () => ({ served: "echo" }))])).toBe(true);
    expect(await lightness().decide(pod, [unit(async () => ({}))])).toBe(false);
    expect(events).toEqual(["NotLight"]);
  });

  it("is open while an image cannot be had, and asked for again", async () => {
    const it = lightness();
    const failing = unit(() => Promise.reject(new ImageError("ErrImagePull", "no registry")));
    expect(await it.decide(pod, [failing])).toBe(false);
    expect(await it.decide(pod, [unit(async () => ({ served: "echo" }))])).toBe(true);
  });

  it("hides no other failure, and has the image asked for anew", async () => {
    let forgotten = 0;
    const broken = unit(
      () => Promise.reject(new TypeError("a mistake")),
      () => forgotten++,
    );
    await expect(lightness().decide(pod, [broken])).rejects.toThrow("a mistake");
    expect(forgotten).toBe(1);
  });
});
