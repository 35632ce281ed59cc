import { describe, expect, it } from "vitest";
import type { ContainerState } from "#api/index.ts";
import { testPod } from "../testing.ts";
import type { ContainerView } from "./containerStatus.ts";
import { type PodView, podStatus, readyContainers } from "./podStatus.ts";
import { qosClass } from "./qos.ts";

const NOW = "2026-11-21T04:00:00Z";
const running: ContainerState = { running: { startedAt: NOW } };
const ended = (exitCode: number): ContainerState => ({
  terminated: { exitCode, reason: exitCode ? "Error" : "Completed" },
});

function container(state: ContainerState, extra: Partial<ContainerView> = {}): ContainerView {
  const up = state.running !== undefined;
  return { state, restartCount: 0, ready: up, started: up, containerId: "podwire://1", imageId: "i", ...extra };
}

function view(containers: Record<string, ContainerView>, extra: Partial<PodView> = {}): PodView {
  const map = new Map(Object.entries(containers));
  return {
    containers: map,
    sandboxReady: true,
    podIPs: ["10.244.1.2", "fd00::2"],
    hostIPs: ["192.168.1.11"],
    startTime: NOW,
    ...extra,
  };
}

const condition = (status: ReturnType<typeof podStatus>, type: string) =>
  status.conditions?.find((c) => c.type === type);

describe("K01 pod status (part: phases and conditions)", () => {
  it.each([
    ["nothing has been created", "Always", {}, "Pending"],
    ["running", "Always", { web: container(running) }, "Running"],
    ["ended, to be restarted", "Always", { web: container(ended(1)) }, "Running"],
    [
      "waits after a crash",
      "Always",
      { web: container({ waiting: { reason: "CrashLoopBackOff" } }, { lastState: ended(1) }) },
      "Running",
    ],
    ["waits for its image", "Always", { web: container({ waiting: { reason: "ErrImagePull" } }) }, "Pending"],
    ["done", "Never", { web: container(ended(0)) }, "Succeeded"],
    ["failed", "Never", { web: container(ended(3)) }, "Failed"],
    ["done on failure policy", "OnFailure", { web: container(ended(0)) }, "Succeeded"],
    ["failed, to be tried again", "OnFailure", { web: container(ended(3)) }, "Running"],
  ] as const)("%s (%s): %s", (_what, restartPolicy, containers, phase) => {
    expect(podStatus(testPod({ restartPolicy }), view(containers), NOW).phase).toBe(phase);
  });

  it.each([
    ["the sidecar is not up", { side: container({ waiting: { reason: "x" } }) }, "Pending", "False"],
    ["all run", { side: container(running), web: container(running) }, "Running", "True"],
    ["the sidecar is down", { side: container(ended(1)), web: container(running) }, "Running", "True"],
    [
      "the pod is done, the sidecar was ended",
      { side: container(ended(137)), web: container(ended(0)) },
      "Succeeded",
      "True",
    ],
  ] as const)("with a sidecar: %s: %s", (_what, containers, phase, initialized) => {
    const initContainers = [{ name: "side", image: "i", restartPolicy: "Always" }];
    const status = podStatus(testPod({ restartPolicy: "Never", initContainers }), view(containers), NOW);
    expect([status.phase, condition(status, "Initialized")?.status]).toEqual([phase, initialized]);
  });

  it("waits for init containers, and fails with them", () => {
    const pod = testPod({ restartPolicy: "Never", initContainers: [{ name: "init" }] });
    const waiting = podStatus(pod, view({ init: container(running) }), NOW);
    expect(waiting.phase).toBe("Pending");
    expect(condition(waiting, "Initialized")).toMatchObject({
      status: "False",
      reason: "ContainersNotInitialized",
      message: "containers with incomplete status: [init]",
    });
    expect(waiting.containerStatuses?.[0]?.state).toEqual({ waiting: { reason: "PodInitializing" } });
    const ready = (state: typeof running) =>
      podStatus(pod, view({ init: container(state) }), NOW).initContainerStatuses?.map((status) => status.ready);
    expect([ready(running), ready(ended(1)), ready(ended(0))]).toEqual([[false], [false], [true]]);
    expect(podStatus(pod, view({ init: container(ended(1)) }), NOW).phase).toBe("Failed");
    expect(podStatus(pod, view({ init: container(ended(0)), web: container(running) }), NOW).phase).toBe("Running");
  });

  it("is ready only with all containers ready, and keeps the time of a condition that has not changed", () => {
    const pod = testPod({ containers: [{ name: "a" }, { name: "b" }] });
    const half = podStatus(pod, view({ a: container(running), b: container(running, { ready: false }) }), NOW);
    expect(condition(half, "Ready")).toMatchObject({
      status: "False",
      reason: "ContainersNotReady",
      message: "containers with unready status: [b]",
    });
    const later = "2026-11-21T05:00:00Z";
    const whole = podStatus({ ...pod, status: half }, view({ a: container(running), b: container(running) }), later);
    expect(condition(whole, "Ready")).toMatchObject({ status: "True", lastTransitionTime: later });
    expect(condition(whole, "Initialized")?.lastTransitionTime).toBe(NOW);
  });

  // status/generate.go, GenerateContainersReadyCondition: restartable init containers count, and come first.
  it.each([
    [{}, { ready: false }, "Always", "containers with unready status: [side web]"],
    [{}, {}, "Always", "containers with unready status: [side]"],
    [{ ready: true }, {}, "Always", undefined],
    [{}, {}, undefined, undefined],
  ] as const)("counts sidecars: %j, %j, %s: %s", (side, web, restartPolicy, message) => {
    const initContainers = [{ name: "side", image: "i", ...(restartPolicy ? { restartPolicy } : {}) }];
    const state = restartPolicy ? running : ended(0);
    const containers = { side: container(state, { ready: false, ...side }), web: container(running, web) };
    const status = podStatus(testPod({ initContainers }), view(containers), NOW);
    for (const type of ["Ready", "ContainersReady"]) {
      const { status: is, reason, message: why } = condition(status, type) ?? {};
      expect([is, reason, why]).toEqual(
        message ? ["False", "ContainersNotReady", message] : ["True", undefined, undefined],
      );
    }
  });

  it("is initialized only once its sidecars have started (isInitContainerInitialized)", () => {
    const pod = testPod({ initContainers: [{ name: "side", restartPolicy: "Always" }] });
    const of = (started: boolean) => podStatus(pod, view({ side: container(running, { started }) }), NOW);
    expect(condition(of(false), "Initialized")?.message).toBe("containers with incomplete status: [side]");
    expect(condition(of(true), "Initialized")?.status).toBe("True");
  });

  it("tells a later agent which containers were ready, sidecars among them", () => {
    const pod = testPod({ initContainers: [{ name: "side", restartPolicy: "Always" }] });
    const containers = { side: container(running), web: container(running, { ready: false }) };
    expect([...readyContainers(podStatus(pod, view(containers), NOW))]).toEqual(["side"]);
    expect([...readyContainers(undefined)]).toEqual([]);
  });

  it("keeps conditions of others, and waits for readiness gates", () => {
    const gate = { type: "example.com/gate", status: "False" } as const;
    const pod = testPod({ readinessGates: [{ conditionType: gate.type }] }, {}, { conditions: [gate] });
    const status = podStatus(pod, view({ web: container(running) }), NOW);
    expect(condition(status, "Ready")).toMatchObject({
      reason: "ReadinessGatesNotReady",
      message: 'the status of pod readiness gate "example.com/gate" is not "True", but False',
    });
    expect(condition(status, gate.type)).toEqual(gate);
    const missing = podStatus({ ...pod, status: {} }, view({ web: container(running) }), NOW);
    expect(condition(missing, "Ready")?.message).toBe(
      'corresponding condition of pod readiness gate "example.com/gate" does not exist.',
    );
  });

  it("says which generation its conditions speak of (Kubernetes 1.35, PodObservedGenerationTracking)", () => {
    const pod = testPod({}, { generation: 3 });
    const status = podStatus(pod, view({ web: container(running) }), NOW);
    expect(status.observedGeneration).toBe(3);
    expect(status.conditions?.map(({ type, observedGeneration }) => [type, observedGeneration])).toEqual(
      ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"].map((t) => [t, 3]),
    );
  });

  it("tells all addresses", () => {
    expect(podStatus(testPod(), view({ web: container(running) }), NOW)).toMatchObject({
      podIP: "10.244.1.2",
      podIPs: [{ ip: "10.244.1.2" }, { ip: "fd00::2" }],
      hostIP: "192.168.1.11",
      hostIPs: [{ ip: "192.168.1.11" }],
      startTime: NOW,
    });
  });
});

describe("quality of service", () => {
  const withResources = (resources: NonNullable<ReturnType<typeof testPod>["spec"]["containers"][0]["resources"]>) =>
    testPod({ containers: [{ name: "a", resources }] });

  it("comes from requests and limits", () => {
    expect(qosClass(testPod())).toBe("BestEffort");
    expect(qosClass(withResources({ requests: { cpu: "100m" } }))).toBe("Burstable");
    const limits = { cpu: "0.5", memory: "64Mi" };
    expect(qosClass(withResources({ limits }))).toBe("Guaranteed");
    expect(qosClass(withResources({ limits, requests: { cpu: "500m", memory: "65536Ki" } }))).toBe("Guaranteed");
    expect(qosClass(withResources({ limits, requests: { cpu: "100m" } }))).toBe("Burstable");
  });

  // KEP-2837: what the pod says of itself decides, whatever its containers ask for.
  it.each([
    [{ limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "1", memory: "1Gi" } }, {}, "Guaranteed"],
    [{ limits: { cpu: "1" }, requests: { cpu: "1" } }, {}, "Burstable"],
    [{ requests: { memory: "1Gi" } }, {}, "Burstable"],
    [{ requests: { memory: "1Gi" } }, { limits: { cpu: "1", memory: "1Gi" } }, "Burstable"],
  ])("of a pod with resources %j and a container with %j: %s", (resources, own, expected) => {
    expect(qosClass(testPod({ resources, containers: [{ name: "a", resources: own }] }))).toBe(expected);
  });
});
