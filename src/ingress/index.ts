/** Ingress: objects → virtual hosts (model) → nginx.conf (plan) → a running nginx (apply). */
export { type Services, type Target, resolveBackend } from "./backend.ts";
export { type ControllerDeps, IngressController, type ControllerOptions } from "./controller.ts";
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
export { type DataPlane, Nginx, NginxConfigError, nginxDefaults, type NginxOptions } from "./nginx.ts";
export { describePlace } from "./place.ts";
export { type NginxConfig, type NginxPlace, renderConfig } from "./plan.ts";
export { defaultSettings, readSettings, type Settings } from "./settings.ts";
