/** KubeProxyConfiguration: every field of upstream's, read strictly, with its defaults. Pure. */
export { splitBind } from "./checks.ts";
export { configFields, type FieldPath, type FieldType, fieldPaths, type ProxyConfig, ruleOf } from "./fields.ts";
export { CONFIG_KIND, CONFIG_VERSION, type ConfigFile, readConfigFile } from "./file.ts";
export { type PortRange, parsePortRange } from "./portRange.ts";
export { fieldNotes, type GivenConfig, ProxyConfigError, settleConfig } from "./settle.ts";
export { configObject, configText } from "./text.ts";
export { allowedWords, valueOfText } from "./values.ts";
