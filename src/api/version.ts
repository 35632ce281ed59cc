/** The version of Kubernetes whose API is served and whose behaviour is followed. */
export const kubernetesVersion = "v1.36.0";
