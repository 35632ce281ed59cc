/** The types of metrics.k8s.io/v1beta1, which are no part of Kubernetes' own API (k8s.io/metrics), as in structure.ts. */
export const metricsStructure = `
metrics.v1beta1.ContainerMetrics name:s=1 usage:{}Quantity=2
metrics.v1beta1.NodeMetrics apiVersion:s=0 kind:s=0 metadata:meta.v1.ObjectMeta=1 timestamp:Time=2 window:Duration=3 usage:{}Quantity=4
metrics.v1beta1.NodeMetricsList apiVersion:s=0 kind:s=0 metadata:meta.v1.ListMeta=1 items:[]metrics.v1beta1.NodeMetrics!=2
metrics.v1beta1.PodMetrics apiVersion:s=0 kind:s=0 metadata:meta.v1.ObjectMeta=1 timestamp:Time=2 window:Duration=3 containers:[]metrics.v1beta1.ContainerMetrics=4
metrics.v1beta1.PodMetricsList apiVersion:s=0 kind:s=0 metadata:meta.v1.ListMeta=1 items:[]metrics.v1beta1.PodMetrics!=2
`;
