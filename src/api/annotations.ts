/** On objects from manifests: their file and line, `examples/x.yaml:12`. */
export const SOURCE_ANNOTATION = "podwire.dev/source";

/** On nodes whose new pods get addresses outside the cluster's pod network: why, in words. */
export const OUTSIDE_ANNOTATION = "podwire.dev/outside-pod-network";

/** On pods that show what a node runs on its own (upstream: pkg/kubelet/types, ConfigMirrorAnnotationKey). */
export const MIRROR_ANNOTATION = "kubernetes.io/config.mirror";

/** On such pods: the process of the node that really does the work. */
export const PROCESS_ANNOTATION = "podwire.dev/process";
