export { horizontalPodAutoscaler, horizontalPodAutoscalerV1 } from "./autoscaler.ts";
