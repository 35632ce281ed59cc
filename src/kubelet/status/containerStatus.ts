import type {
  Container,
  ContainerState,
  ContainerStatus,
  LinuxContainerUser,
  VolumeMount,
  VolumeMountStatus,
} from "#api/index.ts";

/** What the node knows of one container. */
export interface ContainerView {
  readonly state: ContainerState;
  readonly lastState?: ContainerState;
  readonly restartCount: number;
  /** Result of the readiness probe, or running when there is none. */
  readonly ready: boolean;
  /** Result of the startup probe, or running when there is none. */
  readonly started: boolean;
  /** Absent until it was started for the first time. */
  readonly containerId?: string;
  /** What it runs, as the pod named it then. */
  readonly image?: string;
  readonly imageId?: string;
  /** As whom its process was started; absent when it has none. */
  readonly user?: LinuxContainerUser;
  /** Name of the signal that asks it to end. */
  readonly stopSignal?: string;
}

/** Mounts below a volume keep their own mode, so none is read-only throughout. */
function mountStatus({ name, mountPath, readOnly }: VolumeMount): VolumeMountStatus {
  return { name, mountPath, ...(readOnly ? { readOnly: true, recursiveReadOnly: "Disabled" } : {}) };
}

function mounts({ volumeMounts = [] }: Container): Pick<ContainerStatus, "volumeMounts"> {
  return volumeMounts.length > 0 ? { volumeMounts: volumeMounts.map(mountStatus) } : {};
}

/** What is said of a container that has been started (kubelet_pods.go, convertToAPIContainerStatuses). */
function given(container: Container, { user, stopSignal }: ContainerView) {
  const { resources = {} } = container;
  return {
    resources,
    ...(resources.requests ? { allocatedResources: resources.requests } : {}),
    ...(user ? { user: { linux: user } } : {}),
    ...(stopSignal === undefined ? {} : { stopSignal }),
  };
}

/**
 * The status of one container.
 * @param view undefined: it waits to be created
 * @param waiting the reason to give then
 */
export function containerStatus(
  container: Container,
  view: ContainerView | undefined,
  waiting: string,
): ContainerStatus {
  const base = { name: container.name, image: container.image ?? "", ...mounts(container) };
  if (!view) {
    const state = { waiting: { reason: waiting } };
    return { ...base, imageID: "", ready: false, started: false, restartCount: 0, state, lastState: {} };
  }
  return {
    ...base,
    image: view.image ?? base.image,
    imageID: view.imageId ?? "",
    ...(view.containerId === undefined ? {} : { containerID: view.containerId, ...given(container, view) }),
    ready: view.ready,
    started: view.started,
    restartCount: view.restartCount,
    state: view.state,
    lastState: view.lastState ?? {},
  };
}
