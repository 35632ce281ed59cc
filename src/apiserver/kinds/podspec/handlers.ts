import type { V1Container, V1LifecycleHandler, V1Probe } from "@kubernetes/client-node";
import type { FieldErrors } from "../../errors.ts";
import { nonNegative, oneOf } from "../checks.ts";
import { portNumber } from "../names.ts";
import { validatePort } from "./names.ts";

/** Probes and hooks (validateProbe, validateHandler of core/validation). */

type Handler = Pick<V1Probe, "exec" | "httpGet" | "tcpSocket" | "grpc"> & Pick<V1LifecycleHandler, "sleep">;

const kinds = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] as const;

/** Exactly one way to ask or to act. @param grace seconds that the pod has to end */
function validateHandler(handler: Handler, grace: number, path: string, errors: FieldErrors): void {
  const present = kinds.filter((kind) => handler[kind] !== undefined);
  if (present.length === 0) errors.required(path, "must specify a handler type");
  for (const extra of present.slice(1))
    errors.forbidden(`${path}.${extra}`, "may not specify more than 1 handler type");
  const at = `${path}.${present[0]}`;
  switch (present[0]) {
    case "exec":
      if (!handler.exec?.command?.length) errors.required(`${at}.command`);
      break;
    case "httpGet":
      validateHttp(handler.httpGet as NonNullable<Handler["httpGet"]>, at, errors);
      break;
    case "tcpSocket":
      validatePort(handler.tcpSocket?.port, `${at}.port`, errors);
      break;
    case "grpc":
      for (const problem of portNumber(handler.grpc?.port))
        errors.invalid(`${at}.port`, handler.grpc?.port ?? 0, problem);
      break;
    case "sleep": {
      const seconds = handler.sleep?.seconds ?? 0;
      if (seconds < 0 || seconds > grace)
        errors.invalid(at, seconds, `must be non-negative and less than terminationGracePeriodSeconds (${grace})`);
    }
  }
}

function validateHttp(action: NonNullable<Handler["httpGet"]>, path: string, errors: FieldErrors): void {
  if (!action.path) errors.required(`${path}.path`);
  validatePort(action.port, `${path}.port`, errors);
  if (!["HTTP", "HTTPS"].includes(action.scheme ?? ""))
    errors.unsupported(`${path}.scheme`, action.scheme ?? "", ["HTTP", "HTTPS"]);
  for (const { name = "" } of action.httpHeaders ?? []) {
    if (!/^[-A-Za-z0-9]+$/.test(name))
      errors.invalid(
        `${path}.httpHeaders`,
        name,
        "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
      );
  }
}

const counts = [
  ...(["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] as const),
];

function validateProbe(probe: V1Probe, grace: number, path: string, errors: FieldErrors): void {
  validateHandler(probe, grace, path, errors);
  for (const field of counts) nonNegative(probe[field], `${path}.${field}`, errors);
  const own = probe.terminationGracePeriodSeconds;
  if (own !== undefined && own <= 0)
    errors.invalid(`${path}.terminationGracePeriodSeconds`, own, "must be greater than 0");
}

/** The hooks and the three probes of a container. */
export function validateHooks(c: V1Container, grace: number, path: string, errors: FieldErrors): void {
  for (const hook of ["postStart", "preStop"] as const) {
    const handler = c.lifecycle?.[hook];
    if (handler) validateHandler(handler, grace, `${path}.lifecycle.${hook}`, errors);
  }
  if (c.lifecycle?.stopSignal !== undefined)
    oneOf(c.lifecycle.stopSignal, stopSignals, `${path}.lifecycle.stopSignal`, errors);
  for (const name of ["livenessProbe", "readinessProbe", "startupProbe"] as const) {
    const probe = c[name];
    if (!probe) continue;
    const at = `${path}.${name}`;
    validateProbe(probe, grace, at, errors);
    if (name === "readinessProbe") {
      if (probe.terminationGracePeriodSeconds !== undefined)
        errors.invalid(
          `${at}.terminationGracePeriodSeconds`,
          probe.terminationGracePeriodSeconds,
          "must not be set for readinessProbes",
        );
    } else if (probe.successThreshold !== 1)
      errors.invalid(`${at}.successThreshold`, probe.successThreshold ?? 0, "must be 1");
  }
}

const stopSignals = [
  ...["SIGABRT", "SIGALRM", "SIGBUS", "SIGCHLD", "SIGCLD", "SIGCONT", "SIGFPE", "SIGHUP", "SIGILL", "SIGINT", "SIGIO"],
  ...["SIGIOT", "SIGKILL", "SIGPIPE", "SIGPOLL", "SIGPROF", "SIGPWR", "SIGQUIT", "SIGSEGV", "SIGSTKFLT", "SIGSTOP"],
  ...["SIGSYS", "SIGTERM", "SIGTRAP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGUSR1", "SIGUSR2", "SIGVTALRM"],
  ...["SIGWINCH", "SIGXCPU", "SIGXFSZ"],
];
