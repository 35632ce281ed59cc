import type { V1PodSpec } from "@kubernetes/client-node";
import { tryParseIp } from "#base/ip.ts";
import type { FieldErrors } from "../../errors.ts";
import { form, oneOf } from "../checks.ts";
import { dnsLabel, dnsSubdomain } from "../names.ts";
import { badIp } from "./names.ts";

const policies = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];

/** How a pod's names are resolved, and its own names. */
export function validateDns(spec: V1PodSpec, path: string, errors: FieldErrors): void {
  oneOf(spec.dnsPolicy, policies, `${path}.dnsPolicy`, errors);
  const at = `${path}.dnsConfig`;
  const config = spec.dnsConfig;
  if (spec.dnsPolicy === "None" && !config) {
    errors.required(at, "must provide `dnsConfig` when `dnsPolicy` is None");
    return;
  }
  if (spec.dnsPolicy === "None" && !config?.nameservers?.length) {
    errors.required(`${at}.nameservers`, "must provide at least one DNS nameserver when `dnsPolicy` is None");
    return;
  }
  if (!config) return;
  const { nameservers = [], searches = [], options = [] } = config;
  if (nameservers.length > 3) errors.invalid(`${at}.nameservers`, nameservers, "must not have more than 3 nameservers");
  nameservers.forEach((address, i) => {
    if (!tryParseIp(address)) errors.invalid(`${at}.nameservers[${i}]`, address, badIp);
  });
  if (searches.length > 32) errors.invalid(`${at}.searches`, searches, "must not have more than 32 search paths");
  if (searches.join(" ").length > 2048)
    errors.invalid(
      `${at}.searches`,
      searches,
      "must not have more than 2048 characters (including spaces) in the search list",
    );
  searches.forEach((search, i) => {
    // One `.` is the root; names that begin with `_` are used by SRV records.
    const name = search === "." ? "" : search.replace(/\.$/, "").replace(/(^|\.)_/g, "$1");
    if (name) for (const problem of dnsSubdomain(name)) errors.invalid(`${at}.searches[${i}]`, search, problem);
  });
  options.forEach((option, i) => {
    if (!option.name) errors.required(`${at}.options[${i}]`, "must not be empty");
  });
}

/** hostname, subdomain and hostAliases. */
export function validateHostNames(spec: V1PodSpec, path: string, errors: FieldErrors): void {
  for (const field of ["hostname", "subdomain"] as const) {
    const value = spec[field];
    if (value) form(value, dnsLabel(value), `${path}.${field}`, errors);
  }
  spec.hostAliases?.forEach((alias, i) => {
    const at = `${path}.hostAliases[${i}]`;
    if (!tryParseIp(alias.ip ?? "")) errors.invalid(`${at}.ip`, alias.ip ?? "", badIp);
    for (const name of alias.hostnames ?? []) form(name, dnsSubdomain(name), `${at}.hostnames`, errors);
  });
}
