import { isObject, type JsonObject } from "../../config/json.ts";
import type { PluginConfig } from "../../config/network.ts";
import { CNI_ERROR, CniError } from "../../errors.ts";

/** Settings of the bridge plugin, with defaults filled in. */
export interface BridgeConfig {
  /** Name of the bridge, made when missing. */
  readonly bridge: string;
  /** The bridge gets the gateway's address, and the node forwards. */
  readonly isGateway: boolean;
  /** The gateway becomes the container's default route; implies isGateway. */
  readonly isDefaultGateway: boolean;
  /** A different address in the same subnet on the bridge is replaced instead of refused. */
  readonly forceAddress: boolean;
  /** Packets of the container that leave its network get the node's address. */
  readonly ipMasq: boolean;
  /** Bytes; undefined: the kernel's 1500. */
  readonly mtu?: number;
  readonly hairpinMode: boolean;
  readonly promiscMode: boolean;
  /** Containers reach the node only, not each other. */
  readonly portIsolation: boolean;
  /** The container's MAC address, by the capability "mac". */
  readonly mac?: string;
  readonly ipam?: JsonObject & { readonly type: string };
}

/** Options of the reference plugin that ask for what this one does not do; off values are accepted. */
const refused = ["vlan", "vlanTrunk", "macspoofchk", "disableContainerInterface", "enabledad"] as const;

/**
 * Reads the settings; unknown keys are left alone, as chained plugins may want them.
 * @throws CniError INVALID_CONFIG, UNSUPPORTED_FIELD
 */
export function parseBridgeConfig(config: PluginConfig): BridgeConfig {
  for (const key of refused) {
    if (!isOff(config[key]))
      throw new CniError(CNI_ERROR.UNSUPPORTED_FIELD, `bridge: "${key}" is not supported, remove it`);
  }
  const runtime = isObject(config.runtimeConfig) ? config.runtimeConfig : {};
  const mac = typeof runtime.mac === "string" ? runtime.mac : typeof config.mac === "string" ? config.mac : undefined;
  const mtu = integer(config, "mtu");
  const isDefaultGateway = flag(config, "isDefaultGateway");
  const parsed: BridgeConfig = {
    bridge: typeof config.bridge === "string" && config.bridge !== "" ? config.bridge : "cni0",
    isGateway: flag(config, "isGateway") || isDefaultGateway,
    isDefaultGateway,
    forceAddress: flag(config, "forceAddress"),
    ipMasq: flag(config, "ipMasq"),
    ...(mtu ? { mtu } : {}),
    hairpinMode: flag(config, "hairpinMode"),
    promiscMode: flag(config, "promiscMode"),
    portIsolation: flag(config, "portIsolation"),
    ...(mac === undefined ? {} : { mac }),
    ...ipamSection(config),
  };
  if (parsed.bridge.length > 15) throw invalid(`name of the bridge "${parsed.bridge}" is longer than 15 characters`);
  if (parsed.hairpinMode && parsed.promiscMode)
    throw invalid("cannot set hairpin mode and promiscuous mode at the same time");
  return parsed;
}

function ipamSection(config: PluginConfig): Pick<BridgeConfig, "ipam"> {
  const { ipam } = config;
  if (ipam === undefined || (isObject(ipam) && Object.keys(ipam).length === 0)) return {};
  if (!isObject(ipam) || typeof ipam.type !== "string" || ipam.type === "") throw invalid('"ipam" has no "type"');
  return { ipam: ipam as JsonObject & { type: string } };
}

function invalid(reason: string): CniError {
  return new CniError(CNI_ERROR.INVALID_CONFIG, `bridge: ${reason}`);
}

function isOff(value: unknown): boolean {
  return (
    value === undefined ||
    value === null ||
    value === false ||
    value === 0 ||
    value === "" ||
    (Array.isArray(value) && value.length === 0)
  );
}

function flag(config: PluginConfig, key: string): boolean {
  const value = config[key];
  if (value === undefined || value === null) return false;
  if (typeof value !== "boolean") throw invalid(`"${key}" is ${JSON.stringify(value)}, wanted true or false`);
  return value;
}

function integer(config: PluginConfig, key: string): number | undefined {
  const value = config[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0) {
    throw invalid(`"${key}" is ${JSON.stringify(value)}, wanted a whole number`);
  }
  return value;
}
