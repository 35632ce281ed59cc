import { type Reply, textReply } from "./call.ts";

/** One thing that has to be well; the text says what is wrong, for the log. */
export interface HealthCheck {
  readonly name: string;
  /** Paths that ask for it. */
  readonly of: readonly ("healthz" | "livez" | "readyz")[];
  problem(): string | undefined;
}

const live = ["healthz", "livez", "readyz"] as const;

/** The checks of an API server under upstream's names; `etcd` is the store, whatever it is kept in. */
export function healthChecks(state: { stored(): string | undefined; ready(): boolean }): HealthCheck[] {
  const fine = () => undefined;
  return [
    { name: "ping", of: live, problem: fine },
    { name: "log", of: live, problem: fine },
    { name: "etcd", of: live, problem: state.stored },
    { name: "etcd-readiness", of: ["readyz"], problem: state.stored },
    { name: "informer-sync", of: ["readyz"], problem: fine },
    // Both are done before the server listens.
    { name: "poststarthook/rbac/bootstrap-roles", of: live, problem: fine },
    { name: "poststarthook/scheduling/bootstrap-system-priority-classes", of: live, problem: fine },
    { name: "shutdown", of: ["readyz"], problem: () => (state.ready() ? undefined : "not serving") },
  ];
}

/**
 * Answers /healthz, /livez and /readyz, and /livez/<check>, with upstream's texts (apiserver/pkg/server/healthz); the
 * query may say `verbose` and `exclude`. Undefined for a check that there is not.
 */
export function healthReply(checks: readonly HealthCheck[], path: string, query: URLSearchParams): Reply | undefined {
  const [, name = "", ...rest] = path.replace(/\/$/, "").split("/");
  const wanted = checks.filter((check) => (check.of as readonly string[]).includes(name));
  if (rest.length > 0) {
    const one = wanted.find((check) => check.name === rest.join("/"));
    const problem = one?.problem();
    return one && (problem ? textReply(`internal server error: ${problem}\n`, 500) : textReply("ok"));
  }
  const excluded = new Set(query.getAll("exclude"));
  let failed = false;
  const lines = wanted.map((check) => {
    if (excluded.delete(check.name)) return `[+]${check.name} excluded: ok\n`;
    if (check.problem() === undefined) return `[+]${check.name} ok\n`;
    failed = true;
    return `[-]${check.name} failed: reason withheld\n`;
  });
  if (excluded.size > 0) {
    const names = [...excluded].sort().map((text) => JSON.stringify(text));
    lines.push(`warn: some health checks cannot be excluded: no matches for ${names.join(", ")}\n`);
  }
  if (failed) return textReply(`${lines.join("")}${name} check failed\n`, 500);
  return textReply(query.has("verbose") ? `${lines.join("")}${name} check passed\n` : "ok");
}
