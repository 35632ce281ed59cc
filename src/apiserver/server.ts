import type { Transport } from "#api/index.ts";
import { errorMessage } from "#base/errors.ts";
import { boundBacktracking } from "#base/goRegExp.ts";
import type { Logger } from "#base/log.ts";
import { objectChecks } from "./admission/index.ts";
import { QuotaCounter } from "./admission/quota/count.ts";
import { QuotaStatus } from "./admission/quota/status.ts";
import { RoleAggregation } from "./auth/aggregation.ts";
import { createAuth } from "./auth/create.ts";
import { bootstrap } from "./bootstrap.ts";
import { Registrar } from "./custom/registrar.ts";
import { EventExpiry } from "./event-expiry.ts";
import type { User } from "./kinds/definition.ts";
import { Registry } from "./kinds/registry.ts";
import { LocalTransport } from "./local.ts";
import { Listener } from "./net/listener.ts";
import { NodeProxy } from "./net/node-proxy.ts";
import { type ApiServerOptions, serverVersion } from "./options.ts";
import { Discovery } from "./rest/discovery.ts";
import { YamlReader } from "./rest/go-yaml.ts";
import { Handler } from "./rest/handler.ts";
import { Objects } from "./rest/objects.ts";
import { OpenApi } from "./rest/openapi.ts";
import { ownWrite } from "./rest/own-write.ts";
import { Paths } from "./rest/paths.ts";
import { RequestMetrics } from "./rest/request-metrics.ts";
import { ResourceMetrics } from "./rest/resource-metrics.ts";
import { Reviews } from "./rest/reviews.ts";
import { Subresources } from "./rest/subresources.ts";
import { Writes } from "./rest/writes.ts";
import { Schema } from "./schema/schema.ts";
import { StoreAllocator } from "./services/allocator.ts";
import { AddressLedger } from "./services/ledger.ts";
import { Store } from "./store/index.ts";

/** A running API server. */
export interface ApiServer {
  /** Listens. Throws when the address cannot be had. */
  start(): Promise<void>;
  /** Ends all connections, writes what is pending and closes the log. */
  stop(): Promise<void>;
  /** Where it listens; undefined before start() and without `listen`. */
  readonly address: { readonly host: string; readonly port: number } | undefined;
  /** Requests inside this process, as this user, without TLS. */
  localTransport(user: User): Transport;
  /** Number of the last write. */
  readonly revision: number;
}

/** The user that controllers in the same process are. */
export const controllerUser: User = {
  name: "system:kube-controller-manager",
  groups: ["system:masters", "system:authenticated"],
};

/** Puts an API server together: replays the log and creates what every cluster has; start() makes it reachable. */
export function createApiServer(options: ApiServerOptions, deps: { log: Logger }): ApiServer {
  const parts = createParts(options, deps.log);
  const { store } = parts;
  const { handler, paths, yaml, proxy } = createFront(parts, options);
  const stopKeepers = startKeepers(parts, options);
  const listener = new Listener(options, { handler, proxy, log: deps.log });
  const expiry = new EventExpiry(store, options.eventTtlSeconds);
  const locals = new Set<LocalTransport>();
  return {
    async start() {
      await listener.start();
      expiry.start();
      paths.ready = true;
    },
    async stop() {
      paths.ready = false;
      expiry.stop();
      stopKeepers();
      for (const local of locals) await local.close();
      await listener.stop();
      proxy.close();
      await yaml.stop();
      store.close();
    },
    get address() {
      return listener.address;
    },
    get revision() {
      return store.revision;
    },
    localTransport(user) {
      const local = new LocalTransport(handler, user);
      locals.add(local);
      return local;
    },
  };
}

function openStore(options: ApiServerOptions, log: Logger): Store {
  const onWatcherError = (error: unknown): void =>
    log.error("A watcher of the store failed", { error: errorMessage(error) });
  const store = new Store({ onWatcherError, ...options.store });
  if (store.tornBytes > 0)
    log.warn("The end of the store's log was half written when the last process ended; it was cut off", {
      file: options.store?.logFile,
      bytes: store.tornBytes,
    });
  return store;
}

type Parts = ReturnType<typeof createParts>;

/** What knows, keeps and changes objects. */
function createParts(options: ApiServerOptions, log: Logger) {
  const store = openStore(options, log);
  const schema = new Schema();
  const registry = new Registry();
  const auth = createAuth(store, options);
  const counter = new QuotaCounter(store);
  const off = new Set(options.disabledPlugins);
  const objects = new Objects({
    ...{ store, schema, allocator: new StoreAllocator(store, options.services) },
    admission: [...auth.admission, ...objectChecks(store, counter)],
    pluginOn: (plugin) => !off.has(plugin),
  });
  return { store, schema, registry, auth, counter, objects, log };
}

/** What answers requests. */
function createFront({ store, schema, registry, auth, objects, log }: Parts, options: ApiServerOptions) {
  const { tokens, rbac, authority } = auth;
  const { authorizer, authenticator } = authority;
  const writes = new Writes({ store, schema, objects });
  const openApi = new OpenApi(registry, schema, serverVersion.gitVersion);
  const metrics = new RequestMetrics(registry);
  const paths = new Paths({ store, tokens, openApi, metrics });
  const yaml = new YamlReader();
  const handler = new Handler({
    ...{ authority, registry, store, writes, metrics, yaml, log },
    discovery: new Discovery(registry),
    subresources: new Subresources({ store, schema, objects, writes, tokens }),
    reviews: new Reviews({ schema, rbac, authorizer, authenticator, audiences: tokens.audiences }),
    paths: (path, call) => paths.answer(path, call),
    // Made below: it passes requests on for which this handler has decided who may.
    resourceMetrics: new ResourceMetrics({ store, ask: (node, path, ms) => proxy.ask(node, path, ms), log }),
  });
  const { proxyable, kubelet } = options;
  const proxy = new NodeProxy({ store, handler, log, ...(proxyable ? { proxyable } : {}) }, kubelet);
  return { handler, paths, yaml, proxy };
}

/** Makes what every cluster has, and begins to keep what follows from other objects. @returns what stops that */
function startKeepers({ store, schema, registry, counter, objects, log }: Parts, options: ApiServerOptions) {
  const endLedger = new AddressLedger({ store, objects, registry }).start();
  const { advertiseAddress, securePort, clientCa } = options;
  bootstrap(
    { store, objects, registry },
    { advertiseAddress, securePort, serviceCidrs: options.services.cidrs, ...(clientCa ? { clientCa } : {}) },
  );
  boundBacktracking();
  const keepers = [
    new Registrar({ store, schema, objects, registry, log }),
    new RoleAggregation({ store, objects, registry, log }, ownWrite),
    new QuotaStatus({ store, objects, registry, counter, log }, ownWrite),
  ];
  for (const keeper of keepers) keeper.start();
  return () => {
    endLedger();
    for (const keeper of keepers) keeper.stop();
  };
}
