export { validatePodSpec, validatePodTemplate, validateTemplateLabels } from "./spec.ts";
