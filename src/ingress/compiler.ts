import { createHash } from "node:crypto";
import type { Logger } from "#base/log.ts";
import type { Counter, Gauge, Metrics } from "#base/metrics.ts";
import type { Complaint, IngressModel, Route } from "./model.ts";
import { type DataPlane, NginxConfigError } from "./nginx.ts";
import { type NginxPlace, renderConfig } from "./plan.ts";
import type { Settings } from "./settings.ts";

/** Routes that nginx may refuse in one configuration before the whole of it counts as broken. */
const mostRefusals = 50;

/** What a compiler works with. */
export interface CompilerDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly dataPlane: DataPlane;
  readonly place: NginxPlace;
}

/**
 * Brings models into force, each text once. nginx refuses a configuration as a whole; the route whose line it names is
 * left out, so that one author's mistake (an expression that only PCRE finds wrong) does not hold up all others.
 */
export class Compiler {
  readonly #deps: CompilerDeps;
  /** Refused routes by their content: a changed route gets a new chance. */
  #refused = new Map<string, string>();
  #inForce: string | undefined;
  readonly #applied: Counter;
  readonly #failed: Counter;
  readonly #lastSucceeded: Gauge;

  constructor(deps: CompilerDeps) {
    this.#deps = deps;
    const { metrics } = deps;
    // Upstream's names, so that its dashboards show them.
    this.#applied = metrics.counter("nginx_ingress_controller_success", "Configurations brought into force");
    this.#failed = metrics.counter(
      "nginx_ingress_controller_errors",
      "Configurations that nginx refused or did not take",
    );
    this.#lastSucceeded = metrics.gauge(
      "nginx_ingress_controller_config_last_reload_successful",
      "Whether the last configuration is in force",
    );
  }

  /** The next apply starts from nothing. */
  forget(): void {
    this.#inForce = undefined;
  }

  /** Resolves when the model is in force, with the routes that nginx refused. */
  async apply(model: IngressModel, settings: Settings): Promise<{ readonly rejected: readonly Complaint[] }> {
    this.#forgetOldRefusals(model);
    for (let attempt = 0; ; attempt++) {
      const usable = this.#withoutRefused(model);
      const { text, originOf } = this.#render(usable, settings);
      if (text === this.#inForce) return { rejected: this.#complaints(model) };
      try {
        await this.#deps.dataPlane.apply(text);
        this.#inForce = text;
        this.#applied.inc();
        this.#lastSucceeded.set(1);
        this.#deps.log.info("Configuration in force", { hosts: usable.hosts.length, routes: routesOf(usable).length });
        return { rejected: this.#complaints(model) };
      } catch (error) {
        this.#failed.inc();
        this.#lastSucceeded.set(0);
        if (!(error instanceof NginxConfigError) || error.line === undefined || attempt >= mostRefusals) throw error;
        const origin = originOf(error.line);
        const route = routesOf(usable).find((each) => each.origin === origin);
        if (!route) throw error;
        this.#refused.set(identity(route), error.message);
      }
    }
  }

  /** The revision is a digest of the text without it, so that equal content gives equal text. */
  #render(model: IngressModel, settings: Settings): ReturnType<typeof renderConfig> {
    const { text } = renderConfig(model, settings, this.#deps.place, "");
    const revision = createHash("sha256").update(text).digest("hex").slice(0, 12);
    return renderConfig(model, settings, this.#deps.place, revision);
  }

  #withoutRefused(model: IngressModel): IngressModel {
    if (this.#refused.size === 0) return model;
    const hosts = model.hosts.map((host) => ({
      ...host,
      routes: host.routes.filter((route) => !this.#refused.has(identity(route))),
    }));
    return { ...model, hosts };
  }

  #forgetOldRefusals(model: IngressModel): void {
    if (this.#refused.size === 0) return;
    const present = new Set(routesOf(model).map(identity));
    this.#refused = new Map([...this.#refused].filter(([key]) => present.has(key)));
  }

  #complaints(model: IngressModel): Complaint[] {
    return routesOf(model).flatMap((route) => {
      const why = this.#refused.get(identity(route));
      const ingress = model.ingresses.find(
        ({ metadata }) => metadata.name === route.origin.name && metadata.namespace === route.origin.namespace,
      );
      if (why === undefined || !ingress) return [];
      return [{ ingress, reason: "InvalidPath" as const, message: `${route.origin.field}: nginx refuses it: ${why}` }];
    });
  }
}

const routesOf = (model: IngressModel): Route[] => model.hosts.flatMap((host) => host.routes);
const identity = (route: Route): string => JSON.stringify(route);
