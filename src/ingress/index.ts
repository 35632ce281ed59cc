/** Ingress: objects → virtual hosts (model) → nginx.conf (plan) → a running nginx (apply). */
export { resolveBackend, type Services, type Target } from "./backend.ts";
export { type ControllerDeps, type ControllerOptions, IngressController } from "./controller.ts";
export { type IngressFlags, parseFlags } from "./flags.ts";
export { serveHealth } from "./health.ts";
export { type Decision, decide, normalizePath } from "./match.ts";
export {
  buildModel,
  type IngressInputs,
  type IngressModel,
  type ModelOptions,
  type Route,
  type VirtualHost,
} from "./model.ts";
export { type DataPlane, Nginx, NginxConfigError, type NginxOptions, nginxDefaults } from "./nginx.ts";
export { describePlace } from "./place.ts";
export { type NginxConfig, type NginxPlace, renderConfig } from "./plan.ts";
export { defaultSettings, readSettings, type Settings } from "./settings.ts";
