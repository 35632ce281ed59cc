import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Client, type Event, type Ingress } from "#api/index.ts";
import { FakeApi } from "#api/testing/index.ts";
import { createLogger } from "#base/log.ts";
import { Metrics } from "#base/metrics.ts";
import { type ControllerOptions, IngressController } from "./controller.ts";
import { parseFlags } from "./flags.ts";
import { type DataPlane, NginxConfigError } from "./nginx.ts";
import { ingress, path, rule, service } from "./testing/objects.ts";

const ingresses = "/apis/networking.k8s.io/v1/ingresses";
const place = { httpPort: 80, statusPort: 10246, ipv6: false, directory: "/tmp/nginx" };

/** A data plane that keeps what it was given and can be told to fail. */
class FakeDataPlane implements DataPlane {
  readonly texts: string[] = [];
  running = false;
  refuse: (text: string) => Error | undefined = () => undefined;
  #exit: (reason: string) => void = () => {};

  async apply(text: string): Promise<void> {
    const error = this.refuse(text);
    if (error) throw error;
    this.texts.push(text);
    this.running = true;
  }
  onExit(handler: (reason: string) => void): void {
    this.#exit = handler;
  }
  die(): void {
    this.running = false;
    this.#exit("killed");
  }
  async stop(): Promise<void> {
    this.running = false;
  }
}

describe("G01 the ingress controller (part: objects to data plane)", () => {
  let api: FakeApi;
  let dataPlane: FakeDataPlane;
  let controller: IngressController;
  let metrics: Metrics;
  const lines: string[] = [];
  const log = createLogger("ingress", { write: (line) => void lines.push(line) });

  const waitFor = (check: () => void) => vi.waitFor(check, 15_000);
  const start = (options: Partial<ControllerOptions> = {}) => {
    const env = { POD_NAME: "ingress-1", POD_NAMESPACE: "ingress-space" };
    const flags = { ...parseFlags(["--configmap=ingress-space/nginx-configuration"], env), ...options };
    controller = new IngressController(flags, { client: new Client(api), log, metrics, dataPlane, place });
    return controller.start();
  };
  const put = (object: Ingress) => api.put(ingresses, object);
  const events = () =>
    api.all<Event>("/api/v1/events").map(({ type, reason, message }) => `${type} ${reason} ${message}`);
  const last = () => dataPlane.texts.at(-1) ?? "";

  beforeEach(() => {
    api = new FakeApi();
    metrics = new Metrics();
    dataPlane = new FakeDataPlane();
    lines.length = 0;
    const labels = { name: "nginx-ingress" };
    const pod = (name: string, hostIP: string, phase: string) => ({
      metadata: { name, namespace: "ingress-space", labels },
      status: { hostIP, phase },
    });
    api.put("/api/v1/pods", pod("ingress-1", "192.168.1.11", "Running"));
    api.put("/api/v1/pods", pod("ingress-2", "192.168.1.12", "Running"));
    api.put("/api/v1/pods", pod("ingress-3", "192.168.1.13", "Pending"));
    api.put("/api/v1/services", service("wear", "10.96.1.1"));
  });
  afterEach(() => controller.stop());

  test("starts nginx once with what is there, says Sync and writes the nodes' addresses", async () => {
    put(ingress([rule(undefined, path("/wear", "wear"))], {}, { name: "shop" }));
    await start();
    expect(dataPlane.texts).toHaveLength(1);
    expect(last()).toContain("proxy_pass http://10.96.1.1:80;");
    expect(controller.healthy).toBe(true);
    await waitFor(() => expect(events()).toEqual(["Normal Sync Scheduled for sync"]));
    await waitFor(() => {
      const [shop] = api.all<Ingress>(ingresses);
      expect(shop?.status?.loadBalancer?.ingress).toEqual([{ ip: "192.168.1.11" }, { ip: "192.168.1.12" }]);
    });
  });

  test("applies again only when the routes change", async () => {
    await start();
    put(ingress([rule(undefined, path("/wear", "wear"))], {}, { name: "shop" }));
    await waitFor(() => expect(last()).toContain("/wear"));
    await waitFor(() => expect(api.all<Ingress>(ingresses)[0]?.status).toBeDefined());
    const count = dataPlane.texts.length;
    api.put("/api/v1/services", service("another", "10.96.1.9"));
    put(
      ingress([rule(undefined, path("/other", "wear"))], {}, { name: "other", spec: { ingressClassName: "not-ours" } }),
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(dataPlane.texts.length).toBe(count);
  });

  test("a missing Service is told once and served when it comes", async () => {
    put(ingress([rule(undefined, path("/late", "late"))], {}, { name: "shop" }));
    await start();
    expect(last()).toContain("return 503;");
    const message = 'spec.rules[0].http.paths[0].backend: Service "app/late" does not exist';
    await waitFor(() => expect(events()).toContain(`Warning BackendUnavailable ${message}`));
    api.put("/api/v1/services", service("late", "10.96.1.7"));
    await waitFor(() => expect(last()).toContain("proxy_pass http://10.96.1.7:80;"));
    expect(events().filter((each) => each.includes("late"))).toHaveLength(1);
  });

  test("the ConfigMap's options take effect, unknown ones are logged", async () => {
    await start();
    const metadata = { name: "nginx-configuration", namespace: "ingress-space" };
    api.put("/api/v1/configmaps", {
      metadata,
      data: { "proxy-read-timeout": "99", "no-such-option": "1", "keep-alive": "x;" },
    } as never);
    await waitFor(() => expect(last()).toContain("proxy_read_timeout 99s;"));
    expect(last()).toContain("keepalive_timeout 75s;");
    expect(lines.filter((line) => line.includes("ConfigMap option ignored"))).toHaveLength(2);
  });

  test("an nginx that died is started again; a refusal without a route is tried again", async () => {
    await start();
    let failures = 2;
    dataPlane.refuse = () => (failures-- > 0 ? new NginxConfigError("bind() failed", undefined) : undefined);
    dataPlane.die();
    expect(controller.healthy).toBe(false);
    await waitFor(() => expect(controller.healthy).toBe(true));
    expect(dataPlane.texts).toHaveLength(2);
    expect(metrics.text()).toContain("nginx_ingress_controller_success 2");
    expect(metrics.text()).toContain("nginx_ingress_controller_errors 2");
  });

  test("--publish-status-address and --publish-service decide the status", async () => {
    put(ingress([rule(undefined, path("/", "wear"))], {}, { name: "shop" }));
    await start({ publishStatusAddress: "127.0.0.1, shop.example" });
    await waitFor(() => {
      expect(api.all<Ingress>(ingresses)[0]?.status?.loadBalancer?.ingress).toEqual([
        { ip: "127.0.0.1" },
        { hostname: "shop.example" },
      ]);
    });
    await controller.stop();
    await start({ publishService: "app/wear" });
    await waitFor(() =>
      expect(api.all<Ingress>(ingresses)[0]?.status?.loadBalancer?.ingress).toEqual([{ ip: "10.96.1.1" }]),
    );
  });
});

describe("G01 the controller's arguments (part: flags)", () => {
  const env = { POD_NAME: "p", POD_NAMESPACE: "ingress-space" };
  test("the notes' arguments are taken as they are", () => {
    const flags = parseFlags(
      [
        "/nginx-ingress-controller",
        "--configmap=ingress-space/nginx-configuration",
        "--default-backend-service=app-space/default-http-backend",
      ],
      env,
    );
    expect(flags).toMatchObject({
      configMap: "ingress-space/nginx-configuration",
      defaultBackendService: "app-space/default-http-backend",
      httpPort: 80,
      healthzPort: 10254,
      pod: { name: "p", namespace: "ingress-space" },
      warnings: [],
    });
  });

  test("upstream's other flags warn, unknown ones and bad values are refused by name", () => {
    expect(parseFlags(["--https-port", "8443", "--enable-metrics=false", "--update-status=false"], env)).toMatchObject({
      updateStatus: false,
      warnings: ["--https-port has no effect here", "--enable-metrics has no effect here"],
    });
    expect(() => parseFlags(["--nonsense"], env)).toThrow("unknown flag: --nonsense");
    expect(() => parseFlags(["--http-port=99999"], env)).toThrow(
      'invalid argument "99999" for "--http-port": not a port',
    );
    expect(() => parseFlags(["--configmap=nginx-configuration"], env)).toThrow("wanted namespace/name");
    expect(() => parseFlags(["--http-port"], env)).toThrow("flag needs an argument: --http-port");
  });
});
