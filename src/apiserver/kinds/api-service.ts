import type { V1APIService } from "@kubernetes/client-node";
import type { FieldErrors } from "../errors.ts";
import { columns, defineKind } from "./define.ts";
import type { Stored, WriteContext } from "./definition.ts";
import { dns1035Label, dnsSubdomain, portNumber } from "./names.ts";
import { age } from "./print.ts";

type ApiService = Stored<V1APIService>;

/** apiregistration.k8s.io/v1 APIService: the groups of this server, and what it would have to pass on, and does not. */
export const apiService = defineKind<ApiService>({
  group: "apiregistration.k8s.io",
  kind: "APIService",
  plural: "apiservices",
  type: "apiregistration.v1.APIService",
  unconditionalUpdate: false,
  categories: ["api-extensions"],
  namespaced: false,
  status: true,
  generation: false,
  // `v1.` is the core group's: only the spec says which name is right.
  nameRule: () => [],
  columns: columns("Name", "Service", "Available", "Age"),
  row: (o, now) => [
    o.metadata.name,
    o.spec?.service ? `${o.spec.service.namespace}/${o.spec.service.name}` : "Local",
    availableText(o),
    age(o.metadata.creationTimestamp, now),
  ],
  defaults(o) {
    if (o.spec?.service) o.spec.service.port ??= 443;
    o.status ??= {};
  },
  prepareCreate(o, context) {
    o.status = { conditions: [availability(o, context)] } as unknown as NonNullable<ApiService["status"]>;
    warnOfRemote(o, context);
  },
  prepareUpdate: warnOfRemote,
  validate: validateApiService,
});

function warnOfRemote(o: ApiService, context?: unknown, again?: WriteContext): void {
  const { warn } = (again ?? context) as WriteContext;
  if (o.spec?.service)
    warn("this API server passes no requests on: the APIService is stored and shown, its group is not served");
}

function availability(o: ApiService, { now }: WriteContext): Record<string, string> {
  const local = { status: "True", reason: "Local", message: "Local APIServices are always available" };
  const remote = {
    status: "False",
    reason: "NotAggregated",
    message: "this API server does not pass requests on to other API servers",
  };
  return { type: "Available", lastTransitionTime: now, ...(o.spec?.service ? remote : local) };
}

function availableText(o: ApiService): string {
  const condition = o.status?.conditions?.find((c) => c.type === "Available");
  if (!condition) return "Unknown";
  return condition.status === "True" ? "True" : `${condition.status} (${condition.reason ?? ""})`;
}

function validateApiService(o: ApiService, errors: FieldErrors): void {
  const { group = "", version = "", service, groupPriorityMinimum = 0, versionPriority = 0 } = o.spec ?? {};
  const name = `${version}.${group}`;
  if (o.metadata.name !== name)
    errors.invalid(
      "metadata.name",
      o.metadata.name,
      `must be \`spec.version+"."+spec.group\`: ${JSON.stringify(name)}`,
    );
  if (group === "" && version !== "v1")
    errors.required("spec.group", "only v1 may have an empty group and it better be legacy kube");
  for (const problem of group ? dnsSubdomain(group) : []) errors.invalid("spec.group", group, problem);
  for (const problem of dns1035Label(version)) errors.invalid("spec.version", version, problem);
  if (groupPriorityMinimum <= 0 || groupPriorityMinimum > 20000)
    errors.invalid("spec.groupPriorityMinimum", groupPriorityMinimum, "must be positive and less than 20000");
  if (versionPriority <= 0 || versionPriority > 1000)
    errors.invalid("spec.versionPriority", versionPriority, "must be positive and less than 1000");
  if (service) validateRemote(o, errors);
  else validateLocal(o, errors);
}

function validateLocal(o: ApiService, errors: FieldErrors): void {
  if (o.spec?.caBundle)
    errors.invalid("spec.caBundle", `${o.spec.caBundle.length} bytes`, "local APIServices may not have a caBundle");
  if (o.spec?.insecureSkipTLSVerify)
    errors.invalid("spec.insecureSkipTLSVerify", true, "local APIServices may not have insecureSkipTLSVerify");
}

function validateRemote(o: ApiService, errors: FieldErrors): void {
  const { service, caBundle, insecureSkipTLSVerify } = o.spec ?? {};
  if (!service?.namespace) errors.required("spec.service.namespace");
  if (!service?.name) errors.required("spec.service.name");
  for (const problem of portNumber(service?.port))
    errors.invalid("spec.service.port", service?.port ?? 0, `port is not valid: ${problem}`);
  if (insecureSkipTLSVerify && caBundle)
    errors.invalid("spec.insecureSkipTLSVerify", true, "may not be true if caBundle is present");
}
