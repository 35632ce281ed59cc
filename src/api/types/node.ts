import type { Condition, KubeObject } from "./meta.ts";
import type { Taint } from "./placement.ts";

/** core/v1 Node. */
export interface Node extends KubeObject {
  readonly spec?: NodeSpec;
  readonly status?: NodeStatus;
}

/** core/v1 NodeSpec. */
export interface NodeSpec {
  readonly podCIDR?: string;
  readonly podCIDRs?: readonly string[];
  readonly providerID?: string;
  readonly unschedulable?: boolean;
  readonly taints?: readonly Taint[];
}

/** core/v1 NodeStatus. */
export interface NodeStatus {
  readonly addresses?: readonly NodeAddress[];
  readonly conditions?: readonly Condition[];
  readonly capacity?: Readonly<Record<string, string>>;
  readonly allocatable?: Readonly<Record<string, string>>;
  readonly daemonEndpoints?: { readonly kubeletEndpoint?: { readonly Port: number } };
  readonly nodeInfo?: NodeSystemInfo;
  readonly images?: readonly { readonly names?: readonly string[]; readonly sizeBytes?: number }[];
  readonly runtimeHandlers?: readonly {
    readonly name: string;
    readonly features?: { readonly recursiveReadOnlyMounts?: boolean; readonly userNamespaces?: boolean };
  }[];
  readonly features?: { readonly supplementalGroupsPolicy?: boolean };
}

/** core/v1 NodeAddress. */
export interface NodeAddress {
  readonly type: "InternalIP" | "ExternalIP" | "Hostname" | "InternalDNS" | "ExternalDNS";
  readonly address: string;
}

/** core/v1 NodeSystemInfo. */
export interface NodeSystemInfo {
  readonly machineID: string;
  readonly systemUUID: string;
  readonly bootID: string;
  readonly kernelVersion: string;
  readonly osImage: string;
  readonly containerRuntimeVersion: string;
  readonly kubeletVersion: string;
  readonly kubeProxyVersion: string;
  readonly operatingSystem: string;
  readonly architecture: string;
  /** Absent when there is none. */
  readonly swap?: { readonly capacity: number };
}
