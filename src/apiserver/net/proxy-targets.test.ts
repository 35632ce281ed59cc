import { describe, expect, it } from "vitest";
import { StatusError } from "../errors.ts";
import type { StoredObject } from "../object.ts";
import { parseRequest } from "../rest/request-info.ts";
import { Store } from "../store/index.ts";
import { rewriteLocation } from "./proxy-headers.ts";
import { isProxyable, proxyTarget } from "./proxy-targets.ts";

const namespace = "/api/v1/namespaces/n";

/** A store with pods `one` and `two`, Service `web` over them, and what somebody put in there to get elsewhere. */
function cluster(): Store {
  const store = new Store();
  const put = (storage: string, name: string, rest: object, labels = {}) =>
    store.put(storage, `n/${name}`, { metadata: { name, namespace: "n", labels }, ...rest } as unknown as StoredObject);
  const pod = (podIP: string) => ({
    spec: { containers: [{ name: "c", ports: [{ name: "web", containerPort: 8080 }] }] },
    status: { podIP, podIPs: [{ ip: podIP }] },
  });
  put("pods", "one", pod("10.244.1.2"));
  put("pods", "evil", pod("169.254.169.254"));
  put("services", "web", { spec: { ports: [{ name: "http", port: 80 }] } });
  put("services", "proxy", { spec: { ports: [{ port: 80 }] } });
  const slice = (service: string, name: string, port: object, endpoints: object[]) =>
    put(
      "endpointslices.discovery.k8s.io",
      name,
      { ports: [port], endpoints },
      { "kubernetes.io/service-name": service },
    );
  const target = (name: string) => ({ kind: "Pod", namespace: "n", name });
  slice("web", "web-1", { name: "http", port: 8080 }, [
    { addresses: ["10.244.1.2"], targetRef: target("one") },
    { addresses: ["10.9.9.9"], targetRef: target("one") },
    { addresses: ["10.9.9.9"] },
    { addresses: ["10.244.1.2"], targetRef: target("one"), conditions: { ready: false } },
    { addresses: ["10.244.1.2"], targetRef: { ...target("one"), namespace: "other" } },
  ]);
  slice("proxy", "proxy-1", { port: 9090 }, [{ addresses: ["10.244.1.2"], targetRef: target("one") }]);
  return store;
}

function to(path: string): unknown {
  try {
    const {
      host,
      port,
      security,
      path: below,
      prefix,
    } = proxyTarget(cluster(), parseRequest("GET", path), path, isProxyable);
    return [security, host, port, below, prefix];
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return [error.code, error.message];
  }
}

/** Scheme, address and port alone. */
const place = (path: string) => (to(path) as unknown[]).slice(0, 3);

describe("where a proxy's request goes", () => {
  it("a Service's ready endpoints that are pods with that very address", () => {
    for (const name of ["web:http", "web:80", "http:web:80"]) {
      const path = `${namespace}/services/${name}/proxy/x?y`;
      const prefix = `${namespace}/services/${name}/proxy`;
      for (let i = 0; i < 20; i++) expect(to(path)).toEqual(["plain", "10.244.1.2", 8080, "/x?y", prefix]);
    }
    expect(place(`${namespace}/services/https:web:http/proxy/`)).toEqual(["tls", "10.244.1.2", 8080]);
    expect(to(`${namespace}/services/web/proxy/`)).toEqual([503, 'no endpoints available for service "web"']);
  });

  it("a Service called proxy, with a port without a name", () => {
    expect(to(`${namespace}/services/proxy/proxy/proxy/`)).toEqual([
      "plain",
      "10.244.1.2",
      9090,
      "/proxy/",
      `${namespace}/services/proxy/proxy`,
    ]);
  });

  it("a pod's port by number, by name, its first, and the scheme's", () => {
    expect(place(`${namespace}/pods/one/proxy/`)).toEqual(["plain", "10.244.1.2", 8080]);
    expect(place(`${namespace}/pods/one:web/proxy/`)).toEqual(["plain", "10.244.1.2", 8080]);
    expect(place(`${namespace}/pods/https:one:443/proxy/`)).toEqual(["tls", "10.244.1.2", 443]);
    expect(to(`${namespace}/pods/one:70000/proxy/`)).toEqual([400, 'invalid port "70000"']);
    expect(to(`${namespace}/pods/none/proxy/`)).toEqual([404, 'pods "none" not found']);
  });

  it("nowhere that is this machine or its links", () => {
    expect(to(`${namespace}/pods/evil:80/proxy/latest/meta-data`)).toEqual([400, "address not allowed"]);
  });
});

describe("where a redirect leads", () => {
  const target = { prefix: "/api/v1/x/proxy", host: "fd00::5", port: 8080 };
  it.each([
    ["/login", "/api/v1/x/proxy/login"],
    ["http://[fd00::5]:8080/login", "/api/v1/x/proxy/login"],
    ["http://[fd00::5]:8080", "/api/v1/x/proxy/"],
    ["https://[fd00::5]/a?b#c", "/api/v1/x/proxy/a?b#c"],
    ["http://[fd00::5]:9090/", "http://[fd00::5]:9090/"],
    ["//elsewhere/login", "//elsewhere/login"],
    ["../up", "../up"],
  ])("%s", (location, wanted) => {
    expect(rewriteLocation(location, target)).toBe(wanted);
  });
});
