export { type AdmissionPlugin, absentPlugins, admissionPlugins } from "./admission/names.ts";
export type { AuthenticationOptions } from "./auth/authenticate.ts";
export { TokenFile } from "./auth/token-file.ts";
export { firstAddress } from "./bootstrap.ts";
export type { User } from "./kinds/definition.ts";
export { type ApiServerOptions, serverVersion } from "./options.ts";
export { type ApiServer, controllerUser, createApiServer } from "./server.ts";
