export { validatePodSpec, validatePodTemplate } from "./spec.ts";
