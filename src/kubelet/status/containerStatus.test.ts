import { describe, expect, it } from "vitest";
import { containerStatus } from "./containerStatus.ts";

const view = { state: { running: {} }, restartCount: 0, ready: true, started: true };

// As Kubernetes 1.36 reports them (core/v1 ContainerStatus; kubelet_pods.go, convertToAPIContainerStatuses).
describe("K01 pod status (part: what a container was given)", () => {
  it("names volume mounts from the beginning, without the fields of the mount that are not status", () => {
    const volumeMounts = [
      { name: "data", mountPath: "/data", subPath: "a" },
      { name: "token", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount", readOnly: true },
    ];
    expect(containerStatus({ name: "c", volumeMounts }, undefined, "ContainerCreating").volumeMounts).toEqual([
      { name: "data", mountPath: "/data" },
      {
        name: "token",
        mountPath: "/var/run/secrets/kubernetes.io/serviceaccount",
        readOnly: true,
        recursiveReadOnly: "Disabled",
      },
    ]);
  });

  it("names resources, user and stop signal once it was started", () => {
    const resources = { requests: { cpu: "100m" }, limits: { memory: "64Mi" } };
    const user = { uid: 1000, gid: 3000, supplementalGroups: [3000, 4000] };
    const started = { ...view, containerId: "podwire://1", user, stopSignal: "SIGQUIT" };
    expect(containerStatus({ name: "c", resources }, started, "")).toMatchObject({
      resources,
      allocatedResources: { cpu: "100m" },
      user: { linux: user },
      stopSignal: "SIGQUIT",
    });
    const waits = containerStatus({ name: "c", resources }, { ...view, state: { waiting: {} } }, "");
    expect(waits).not.toHaveProperty("resources");
    expect(waits).not.toHaveProperty("allocatedResources");
  });

  it("has empty resources where nothing is asked for", () => {
    const status = containerStatus({ name: "c" }, { ...view, containerId: "podwire://1" }, "");
    expect(status.resources).toEqual({});
    expect(status).not.toHaveProperty("allocatedResources");
  });
});
