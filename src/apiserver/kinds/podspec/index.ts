export { validatePodSpec, validatePodTemplate, validateTemplateLabels } from "./spec.ts";
export { podWarnings, templateWarnings, warnOfHostname } from "./warnings.ts";
