import type { Server } from "node:http";
import { errorMessage, hasCode } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { type HealthCheck, healthCheck } from "../model/index.ts";
import type { Computed, ProxyObserver } from "../observer.ts";
import { type Answer, close, listen } from "./listener.ts";

/** What the servers need. */
export interface ServiceHealthOptions {
  readonly nodeName: string;
  readonly log: Logger;
  /** Addresses to listen at. Empty: all. */
  readonly addresses: () => readonly string[];
  /** Whether the proxy itself is well. */
  readonly isHealthy: () => boolean;
  /** A port could not be opened: an event of the Service is to say so. @param service `namespace/name` */
  readonly failed: (service: string, message: string) => void;
}

interface Opened {
  readonly port: number;
  check: HealthCheck;
  /** Opening, and later closing, one after the other. */
  servers: Promise<Server[]>;
}

/** All addresses of both families, in one socket. */
const EVERYWHERE = ["::"];

/** Answers load balancers on each Service's healthCheckNodePort: 200 where the node has endpoints of it, else 503. */
export class ServiceHealthServers implements ProxyObserver {
  readonly #options: ServiceHealthOptions;
  readonly #opened = new Map<string, Opened>();
  readonly #closing = new Set<Promise<unknown>>();
  /** Ports that could not be opened, with why: each sync tries again. */
  readonly #failed = new Map<string, { readonly check: HealthCheck; readonly message: string }>();

  constructor(options: ServiceHealthOptions) {
    this.#options = options;
  }

  computed(key: string, { service, slices }: Computed): void {
    this.set(key, service && healthCheck(service, slices, this.#options.nodeName));
  }

  syncing(): void {
    for (const [key, { check }] of this.#failed) if (!this.#opened.has(key)) this.#open(key, check);
  }

  /** What a Service's port answers from now on; undefined: it has none. @param key `namespace/name` */
  set(key: string, check: HealthCheck | undefined): void {
    const opened = this.#opened.get(key);
    if (!check) this.#failed.delete(key);
    if (opened && opened.port === check?.port) opened.check = check;
    else {
      if (opened) this.#close(key, opened);
      if (check) this.#open(key, check);
    }
  }

  /** Closes all ports and waits. */
  async stop(): Promise<void> {
    this.#failed.clear();
    for (const [key, opened] of this.#opened) this.#close(key, opened);
    await Promise.all(this.#closing);
  }

  #open(key: string, check: HealthCheck): void {
    const { log, addresses } = this.#options;
    if (this.#failed.get(key)?.check.port !== check.port)
      log.info("Opening healthcheck", { service: key, port: check.port });
    const hosts = addresses().length ? addresses() : EVERYWHERE;
    const opened: Opened = { port: check.port, check, servers: Promise.resolve([]) };
    this.#opened.set(key, opened);
    // A port that another Service has just given up is closed first.
    const before = [...this.#closing];
    opened.servers = Promise.all(before)
      .then(() => openAll(hosts, check.port, () => this.#answer(key, opened.check)))
      .then(
        (servers) => {
          if (this.#opened.get(key) === opened) this.#failed.delete(key);
          return servers;
        },
        (error: unknown) => {
          this.#cannotOpen(key, opened, errorMessage(error));
          return [];
        },
      );
  }

  /** Says so by a line and an event, once for each reason. */
  #cannotOpen(key: string, opened: Opened, words: string): void {
    const { log, nodeName, failed } = this.#options;
    const { check } = opened;
    const message = `node ${nodeName} failed to start healthcheck ${JSON.stringify(key)} on port ${check.port}: ${words}`;
    if (this.#failed.get(key)?.message !== message) {
      log.error("Failed to start healthcheck", { node: nodeName, service: key, port: check.port, err: words });
      failed(key, message);
    }
    // It has been given up, or has another port by now.
    if (this.#opened.get(key) !== opened) return;
    this.#opened.delete(key);
    this.#failed.set(key, { check, message });
  }

  #close(key: string, opened: Opened): void {
    this.#options.log.info("Closing healthcheck", { service: key, port: opened.port });
    this.#opened.delete(key);
    const closing = opened.servers.then((servers) => Promise.all(servers.map(close)));
    this.#closing.add(closing);
    void closing.finally(() => this.#closing.delete(closing));
  }

  #answer(key: string, { localEndpoints }: HealthCheck): Answer {
    const [namespace = "", name = ""] = key.split("/");
    const serviceProxyHealthy = this.#options.isHealthy();
    const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy };
    return {
      code: localEndpoints > 0 && serviceProxyHealthy ? 200 : 503,
      type: "application/json",
      headers: { "x-load-balancing-endpoint-weight": String(localEndpoints) },
      // Upstream's layout, which is a template of its own there.
      body: JSON.stringify(body, null, "\t"),
    };
  }
}

/** All of the addresses, or none. */
async function openAll(hosts: readonly string[], port: number, answer: () => Answer): Promise<Server[]> {
  const servers: Server[] = [];
  try {
    for (const host of hosts) servers.push(await listenAt(host, port, answer));
  } catch (error) {
    await Promise.all(servers.map(close));
    throw error;
  }
  return servers;
}

async function listenAt(host: string, port: number, answer: () => Answer): Promise<Server> {
  try {
    return await listen(host, port, answer);
  } catch (error) {
    // A kernel without IPv6.
    if (host === EVERYWHERE[0] && hasCode(error, "EAFNOSUPPORT")) return await listen("0.0.0.0", port, answer);
    throw error;
  }
}
