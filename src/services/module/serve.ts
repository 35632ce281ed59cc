import type { AddressInfo } from "node:net";
import type { Logger } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import type { ProxyConfig } from "../config/index.ts";
import { type Answering, healthPages, keepListening, metricsPages, type ProxyHealth } from "../serving/index.ts";

/** What the two ports need. */
export interface ServeDeps {
  readonly health: ProxyHealth;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly fatal: (message: string) => void;
}

/** The ports for health and metrics. */
export interface Served {
  stop(): Promise<void>;
}

/** Serves health and metrics where the configuration says. An address that is taken is tried again, or is fatal. */
export function serve(config: ProxyConfig, mode: string, { health, metrics, log, fatal }: ServeDeps): Served {
  const end = new AbortController();
  const keep = (name: string, words: string, bind: string, answering: Answering) =>
    bind === ""
      ? Promise.resolve()
      : keepListening({
          bind,
          answering,
          signal: end.signal,
          failed: (message) => {
            log.error(`${words} failed`, { address: bind, err: message });
            if (config.bindAddressHardFail) fatal(`${words} failed: ${message}`);
            return !config.bindAddressHardFail;
          },
          serving: ({ address, port, family }: AddressInfo) =>
            log.info(`Starting ${name} HTTP server`, {
              address: `${family === "IPv6" ? `[${address}]` : address}:${port}`,
            }),
        });
  const servers = [
    keep("healthz", "healthz server", config.healthzBindAddress, healthPages(health, metrics)),
    keep("metrics", "starting metrics server", config.metricsBindAddress, metricsPages(metrics, config, mode)),
  ];
  return {
    async stop() {
      end.abort();
      await Promise.all(servers);
    },
  };
}
