import type {
  AdmissionregistrationV1WebhookClientConfig,
  V1MutatingWebhook,
  V1MutatingWebhookConfiguration,
  V1ValidatingWebhook,
  V1ValidatingWebhookConfiguration,
} from "@kubernetes/client-node";
import type { FieldErrors } from "../../errors.ts";
import { oneOfOrNone, validateLabelSelector } from "../checks.ts";
import { columns, defineKind } from "../define.ts";
import type { Stored, WriteContext } from "../definition.ts";
import { dns1035Label, dnsSubdomain, portNumber } from "../names.ts";
import { age } from "../print.ts";
import { validateMatchConditions, validateRules } from "./rules.ts";

type Webhook = V1ValidatingWebhook & Pick<V1MutatingWebhook, "reinvocationPolicy">;
type Configuration = Stored<V1ValidatingWebhookConfiguration | V1MutatingWebhookConfiguration> & {
  webhooks?: Webhook[];
};

/** What a person must know who writes one. */
const notCalled = "this API server calls no admission webhooks: the configuration is stored and shown only";

const shared = {
  group: "admissionregistration.k8s.io",
  namespaced: false,
  categories: ["api-extensions"],
  generation: true,
  columns: columns("Name", "Webhooks#", "Age"),
  row: (o: Configuration, now: number) => [
    o.metadata.name,
    o.webhooks?.length ?? 0,
    age(o.metadata.creationTimestamp, now),
  ],
  prepareCreate: (_o: Configuration, context: WriteContext) => context.warn(notCalled),
  prepareUpdate: (_o: Configuration, _old: Configuration, context: WriteContext) => context.warn(notCalled),
  validate: validateConfiguration,
};

/** admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration, stored. */
export const validatingWebhookConfiguration = defineKind<Configuration>({
  ...shared,
  kind: "ValidatingWebhookConfiguration",
  plural: "validatingwebhookconfigurations",
  type: "admissionregistration.v1.ValidatingWebhookConfiguration",
  unconditionalUpdate: false,
  defaults: (o) => o.webhooks?.forEach(defaultWebhook),
});

/** admissionregistration.k8s.io/v1 MutatingWebhookConfiguration, stored. */
export const mutatingWebhookConfiguration = defineKind<Configuration>({
  ...shared,
  kind: "MutatingWebhookConfiguration",
  plural: "mutatingwebhookconfigurations",
  type: "admissionregistration.v1.MutatingWebhookConfiguration",
  unconditionalUpdate: false,
  defaults(o) {
    for (const webhook of o.webhooks ?? []) {
      defaultWebhook(webhook);
      webhook.reinvocationPolicy ??= "Never";
    }
  },
});

function defaultWebhook(webhook: Webhook): void {
  webhook.failurePolicy ??= "Fail";
  webhook.matchPolicy ??= "Equivalent";
  webhook.namespaceSelector ??= {};
  webhook.objectSelector ??= {};
  webhook.timeoutSeconds ??= 10;
  for (const rule of webhook.rules ?? []) rule.scope ??= "*";
  if (webhook.clientConfig?.service) webhook.clientConfig.service.port ??= 443;
}

function validateConfiguration(o: Configuration, errors: FieldErrors): void {
  const names = new Set<string>();
  o.webhooks?.forEach((webhook, i) => {
    const path = `webhooks[${i}]`;
    validateWebhook(webhook, path, errors);
    validateVersions(webhook.admissionReviewVersions ?? [], `${path}.admissionReviewVersions`, errors);
    if (webhook.name && names.has(webhook.name)) errors.duplicate(`${path}.name`, webhook.name);
    names.add(webhook.name);
  });
}

const sideEffects = ["None", "NoneOnDryRun"];

function validateWebhook(w: Webhook, path: string, errors: FieldErrors): void {
  validateFullName(w.name ?? "", `${path}.name`, errors);
  validateRules(w.rules, `${path}.rules`, errors);
  oneOfOrNone(w.failurePolicy, ["Fail", "Ignore"], `${path}.failurePolicy`, errors);
  oneOfOrNone(w.matchPolicy, ["Equivalent", "Exact"], `${path}.matchPolicy`, errors);
  if (w.sideEffects === undefined)
    errors.required(`${path}.sideEffects`, `must specify one of ${sideEffects.join(", ")}`);
  else oneOfOrNone(w.sideEffects, sideEffects, `${path}.sideEffects`, errors);
  if (w.timeoutSeconds !== undefined && (w.timeoutSeconds > 30 || w.timeoutSeconds < 1))
    errors.invalid(`${path}.timeoutSeconds`, w.timeoutSeconds, "the timeout value must be between 1 and 30 seconds");
  validateLabelSelector(w.namespaceSelector, `${path}.namespaceSelector`, errors);
  validateLabelSelector(w.objectSelector, `${path}.objectSelector`, errors);
  oneOfOrNone(w.reinvocationPolicy, ["IfNeeded", "Never"], `${path}.reinvocationPolicy`, errors);
  validateClient(w.clientConfig ?? {}, `${path}.clientConfig`, errors);
  validateMatchConditions(w.matchConditions, `${path}.matchConditions`, errors);
}

/** `name.example.com`: at least three parts (apimachinery IsFullyQualifiedName). */
function validateFullName(name: string, path: string, errors: FieldErrors): void {
  if (name === "") {
    errors.required(path);
    return;
  }
  const problems = dnsSubdomain(name);
  if (problems.length > 0) errors.invalid(path, name, problems.join(","));
  else if (name.split(".").length < 3)
    errors.invalid(path, name, "should be a domain with at least three segments separated by dots");
}

function validateClient(client: AdmissionregistrationV1WebhookClientConfig, path: string, errors: FieldErrors): void {
  const { url, service } = client;
  if ((url === undefined) === (service === undefined)) {
    errors.required(path, "exactly one of url or service is required");
    return;
  }
  if (url !== undefined) validateUrl(url, `${path}.url`, errors);
  if (!service) return;
  const at = `${path}.service`;
  if (!service.name) errors.required(`${at}.name`, "service name is required");
  if (!service.namespace) errors.required(`${at}.namespace`, "service namespace is required");
  for (const problem of portNumber(service.port))
    errors.invalid(`${at}.port`, service.port ?? 0, `port is not valid: ${problem}`);
  if (service.path === undefined || service.path === "/") return;
  if (!service.path.startsWith("/")) errors.invalid(`${at}.path`, service.path, "must start with a '/'");
  else if (service.path.includes("//"))
    errors.invalid(
      `${at}.path`,
      service.path,
      `segment[${service.path.split("/").indexOf("", 1) - 1}] may not be empty`,
    );
}

/** webhook.ValidateWebhookURL of the API server. */
function validateUrl(url: string, path: string, errors: FieldErrors): void {
  const wanted = "; desired format: https://host[/path]";
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    errors.required(path, `url must be a valid URL: ${JSON.stringify(url)}${wanted}`);
    return;
  }
  const scheme = parsed.protocol.replace(/:$/, "");
  if (scheme !== "https") errors.invalid(path, scheme, `'https' is the only allowed URL scheme${wanted}`);
  if (!parsed.host) errors.invalid(path, parsed.host, `host must be specified${wanted}`);
  if (parsed.username || parsed.password)
    errors.invalid(path, parsed.username, "user information is not permitted in the URL");
  if (parsed.hash) errors.invalid(path, parsed.hash.slice(1), "fragments are not permitted in the URL");
  if (parsed.search) errors.invalid(path, parsed.search.slice(1), "query parameters are not permitted in the URL");
}

const known = ["v1", "v1beta1"];

function validateVersions(versions: readonly string[], path: string, errors: FieldErrors): void {
  if (versions.length === 0) {
    errors.required(path, `must specify one of ${known.join(", ")}`);
    return;
  }
  const seen = new Set<string>();
  versions.forEach((version, i) => {
    if (seen.has(version)) errors.invalid(`${path}[${i}]`, version, "duplicate version");
    else for (const problem of dns1035Label(version)) errors.invalid(`${path}[${i}]`, version, problem);
    seen.add(version);
  });
  if (!known.some((version) => seen.has(version)))
    errors.invalid(path, versions, `must include at least one of ${known.join(", ")}`);
}
