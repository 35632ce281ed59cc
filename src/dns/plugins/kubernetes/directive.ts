import { resolve } from "node:path";
import { type Fallthrough, noFallthrough, readFallthrough, type SetupContext } from "../../core/index.ts";
import {
  args,
  CorefileError,
  type Directive,
  duration,
  integer,
  oneArg,
  readProperties,
} from "../../corefile/index.ts";
import type { PodMode } from "./options.ts";

/** What a kubernetes directive says. */
export interface KubernetesOptions {
  ttl: number;
  podMode: PodMode;
  endpointPodNames: boolean;
  endpoints: boolean;
  ignoreEmptyService: boolean;
  namespaces?: ReadonlySet<string>;
  labelSelector?: string;
  namespaceSelector?: string;
  fallthrough: Fallthrough;
  server?: string;
  tls?: { readonly cert: string; readonly key: string; readonly ca: string };
  kubeconfig?: { readonly file: string; readonly context?: string; readonly at: Directive["at"] };
}

/** Readers of properties by name. */
type Readers = Parameters<typeof readProperties>[1];

/** Reads the properties of a kubernetes directive. @throws CorefileError */
export function readOptions(directive: Directive, { log, directory }: SetupContext): KubernetesOptions {
  const options: KubernetesOptions = {
    ttl: 5,
    podMode: "disabled",
    endpointPodNames: false,
    endpoints: true,
    ignoreEmptyService: false,
    fallthrough: noFallthrough,
  };
  readProperties(directive, {
    ...answerReaders(options),
    ...selectionReaders(options),
    ...apiReaders(options, directory),
    ...idleReaders(log),
  });
  if (options.namespaces && options.namespaceSelector !== undefined) {
    throw new CorefileError(directive.at, "namespaces and namespace_labels cannot both be set");
  }
  return options;
}

/** How it answers. */
function answerReaders(options: KubernetesOptions): Readers {
  return {
    pods: (property) => {
      options.podMode = podModeOf(oneArg(property, "pods disabled|insecure|verified"), property);
    },
    ttl: (property) => {
      options.ttl = integer(oneArg(property, "ttl SECONDS"), property.at, "ttl", 0, 3600);
    },
    fallthrough: (property) => {
      options.fallthrough = readFallthrough(property);
    },
    endpoint_pod_names: (property) => {
      args(property, "endpoint_pod_names", 0);
      options.endpointPodNames = true;
    },
    noendpoints: (property) => {
      args(property, "noendpoints", 0);
      options.endpoints = false;
    },
    ignore: (property) => {
      const what = oneArg(property, "ignore empty_service");
      if (what !== "empty_service") {
        throw new CorefileError(property.at, `unable to parse ignore value: '${what}'; allowed: empty_service`);
      }
      options.ignoreEmptyService = true;
    },
  };
}

/** For which objects. */
function selectionReaders(options: KubernetesOptions): Readers {
  return {
    namespaces: (property) => {
      options.namespaces = new Set(args(property, "namespaces NAMESPACE...", 1, 10_000));
    },
    labels: (property) => {
      options.labelSelector = args(property, "labels EXPRESSION", 1, 100).join(" ");
    },
    namespace_labels: (property) => {
      options.namespaceSelector = args(property, "namespace_labels EXPRESSION", 1, 100).join(" ");
    },
  };
}

/** Where the API is. */
function apiReaders(options: KubernetesOptions, directory: string): Readers {
  return {
    endpoint: (property) => {
      options.server = oneArg(property, "endpoint URL");
    },
    tls: (property) => {
      const [cert, key, ca] = args(property, "tls CERT KEY CACERT", 3).map((file) => resolve(directory, file)) as [
        string,
        string,
        string,
      ];
      options.tls = { cert, key, ca };
    },
    kubeconfig: (property) => {
      const [file, name] = args(property, "kubeconfig KUBECONFIG [CONTEXT]", 1, 2) as [string, string?];
      options.kubeconfig = {
        file: resolve(directory, file),
        at: property.at,
        ...(name !== undefined && { context: name }),
      };
    },
  };
}

/** What is allowed and changes nothing here. */
function idleReaders(log: SetupContext["log"]): Readers {
  const deprecated = (property: Directive) => {
    const { file, line } = property.at;
    log.warn(`${file}:${line}: ${property.name} of kubernetes is deprecated and has no effect`);
  };
  return {
    // Names are served from the start, with SERVFAIL for those not seen yet: nothing waits.
    startup_timeout: (property) =>
      void duration(oneArg(property, "startup_timeout DURATION"), property.at, "startup_timeout"),
    multicluster: ({ at }) => {
      throw new CorefileError(at, "multicluster of kubernetes is not there: no ServiceImport is looked at");
    },
    apiserver_qps: (property) => void args(property, "apiserver_qps QPS", 1),
    apiserver_burst: (property) => void args(property, "apiserver_burst BURST", 1),
    apiserver_max_inflight: (property) => void args(property, "apiserver_max_inflight MAX", 1),
    upstream: deprecated,
    resyncperiod: deprecated,
    transfer: deprecated,
  };
}

function podModeOf(text: string, property: Directive): PodMode {
  if (text === "disabled" || text === "insecure" || text === "verified") return text;
  throw new CorefileError(property.at, `pods ${text}; allowed: disabled, insecure, verified`);
}
