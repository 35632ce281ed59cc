import type { V1Container, V1PodSpec, V1PodTemplateSpec, V1Probe, V1Volume } from "@kubernetes/client-node";

/** Defaults of pods and pod templates (k8s.io/kubernetes/pkg/apis/core/v1/defaults.go). */

/** Sets the defaults of a pod's spec, or of one in a template. */
export function defaultPodSpec(spec: V1PodSpec): void {
  spec.restartPolicy ??= "Always";
  spec.dnsPolicy ??= "ClusterFirst";
  spec.schedulerName ??= "default-scheduler";
  spec.terminationGracePeriodSeconds ??= 30;
  spec.securityContext ??= {};
  if (spec.serviceAccountName ?? spec.serviceAccount) {
    const name = (spec.serviceAccountName ?? spec.serviceAccount) as string;
    spec.serviceAccountName = name;
    spec.serviceAccount = name;
  }
  for (const container of allContainers(spec)) defaultContainer(container, spec.hostNetwork ?? false);
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
}

/** Sets the defaults of a template. */
export function defaultPodTemplate(template: V1PodTemplateSpec | undefined): void {
  if (template?.spec) defaultPodSpec(template.spec);
}

/** Init, ordinary and ephemeral containers of a pod. */
export function allContainers(spec: V1PodSpec): V1Container[] {
  return [
    ...(spec.initContainers ?? []),
    ...(spec.containers ?? []),
    ...((spec.ephemeralContainers ?? []) as V1Container[]),
  ];
}

function defaultContainer(container: V1Container, hostNetwork: boolean): void {
  container.terminationMessagePath ??= "/dev/termination-log";
  container.terminationMessagePolicy ??= "File";
  container.imagePullPolicy ??= pullsAlways(container.image ?? "") ? "Always" : "IfNotPresent";
  container.resources ??= {};
  for (const port of container.ports ?? []) {
    port.protocol ??= "TCP";
    if (hostNetwork) port.hostPort ??= port.containerPort;
  }
  for (const env of container.env ?? []) if (env.valueFrom?.fieldRef) env.valueFrom.fieldRef.apiVersion ??= "v1";
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) defaultProbe(probe);
  for (const handler of [container.lifecycle?.postStart, container.lifecycle?.preStop])
    defaultHttpGet(handler?.httpGet);
}

/** What only a pod gets, never a template: requests are the limits where they are not given (SetDefaults_Pod). */
export function defaultPodRequests(spec: V1PodSpec): void {
  for (const { resources } of [...(spec.initContainers ?? []), ...(spec.containers ?? [])])
    if (resources?.limits) resources.requests = { ...resources.limits, ...resources.requests };
}

/** Whether an image reference means the latest image: no tag and no digest, or the tag `latest`. */
function pullsAlways(image: string): boolean {
  if (image.includes("@")) return false;
  const tag = /:([^/:]+)$/.exec(image)?.[1];
  return tag === undefined || tag === "latest";
}

function defaultProbe(probe: V1Probe | undefined): void {
  if (!probe) return;
  probe.timeoutSeconds ??= 1;
  probe.periodSeconds ??= 10;
  probe.successThreshold ??= 1;
  probe.failureThreshold ??= 3;
  defaultHttpGet(probe.httpGet);
  if (probe.grpc) probe.grpc.service ??= "";
}

function defaultHttpGet(action: { path?: string; scheme?: string } | undefined): void {
  if (!action) return;
  action.path ??= "/";
  action.scheme ??= "HTTP";
}

function defaultVolume(volume: V1Volume): void {
  if (Object.keys(volume).length === 1) volume.emptyDir = {};
  for (const source of [volume.secret, volume.configMap, volume.downwardAPI, volume.projected]) {
    if (source) source.defaultMode ??= 0o644;
  }
  if (volume.hostPath) volume.hostPath.type ??= "";
  for (const source of volume.projected?.sources ?? []) {
    if (source.serviceAccountToken) source.serviceAccountToken.expirationSeconds ??= 3600;
    for (const item of source.downwardAPI?.items ?? []) if (item.fieldRef) item.fieldRef.apiVersion ??= "v1";
  }
  for (const item of volume.downwardAPI?.items ?? []) if (item.fieldRef) item.fieldRef.apiVersion ??= "v1";
}
