/** On objects from manifests: their file and line, `examples/x.yaml:12`. */
export const SOURCE_ANNOTATION = "podwire.dev/source";

/** On nodes whose new pods get addresses outside the cluster's pod network: why, in words. */
export const OUTSIDE_ANNOTATION = "podwire.dev/outside-pod-network";
