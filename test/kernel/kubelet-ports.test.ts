import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KubeletMachine } from "../support/kubeletMachine.ts";

const machine = new KubeletMachine();
beforeAll(() => machine.start());
afterAll(() => machine.stop());

const NODE = "192.168.1.11";

describe("hostPort on the node", () => {
  const served = (name: string, port: object) =>
    machine.run(name, {
      containers: [
        {
          name: "c",
          image: "podwire/echo",
          args: [`--body=${name}`, "--port=80"],
          ports: [{ containerPort: 80, ...port }],
          readinessProbe: { httpGet: { path: "/", port: 80 } },
        },
      ],
    });
  const curl = "curl -s -m 5";

  beforeAll(async () => {
    await served("open", { hostPort: 8080 });
    await machine.run("visitor", {});
  });

  it("leads to the pod from the node, from another pod, and from itself", async () => {
    expect(machine.shell(`${curl} ${NODE}:8080`)).toBe("open\n");
    expect(machine.shell(`${curl} 127.0.0.1:8080`)).toBe("open\n");
    expect((await machine.exec("visitor", `${curl} ${NODE}:8080`)).stdout).toBe("open\n");
    expect((await machine.exec("open", `${curl} ${NODE}:8080`)).stdout).toBe("open\n");
    expect(machine.events("open").filter((e) => e.startsWith("UnsupportedFields"))).toEqual([]);
  });

  it("leads from one address only where the pod says so", async () => {
    machine.shell("ip addr add 192.168.1.99/32 dev eth0");
    await served("one", { hostPort: 8081, hostIP: "192.168.1.99" });
    expect(machine.shell(`${curl} 192.168.1.99:8081`)).toBe("one\n");
    expect(machine.shell(`${curl} ${NODE}:8081 || echo refused`)).toBe("refused\n");
    expect(machine.shell(`${curl} 127.0.0.1:8081 || echo refused`)).toBe("refused\n");
    await machine.delete("one", 1);
  });

  it("leads from 127.0.0.1 alone where the pod says so, and lets nobody else there", async () => {
    await served("inner", { hostPort: 8082, hostIP: "127.0.0.1" });
    expect(machine.shell(`${curl} 127.0.0.1:8082`)).toBe("inner\n");
    expect(machine.shell(`${curl} ${NODE}:8082 || echo refused`)).toBe("refused\n");
    // A neighbour sends packets for 127.0.0.1 to this node: the setting that opens the port would let them in.
    const stranger = machine
      .shell(`
        unshare --net sleep 300 >/dev/null 2>&1 & pid=$!
        timeout 20 sh -c 'until [ "$(readlink /proc/$0/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done' $pid
        ip link add s0 type veth peer name s1 netns $pid
        ip addr add 10.9.9.1/24 dev s0 && ip link set s0 up
        nsenter --net=/proc/$pid/ns/net sh -c '
          ip addr add 10.9.9.2/24 dev s1 && ip link set s1 up
          echo 1 > /proc/sys/net/ipv4/conf/s1/route_localnet
          ip route add 127.0.0.1/32 via 10.9.9.1'
        echo $pid`)
      .trim();
    const visit = `nsenter --net=/proc/${stranger}/ns/net curl -s -m 2 127.0.0.1:8082 || echo dropped`;
    const intrude = () => machine.shell(visit);
    expect(intrude()).toBe("dropped\n");
    machine.shell("nft flush chain ip podwire-hostports raw");
    expect(intrude(), "it is the rule that keeps it out").toBe("inner\n");
    machine.shell("nft add rule ip podwire-hostports raw iif != lo ip daddr 127.0.0.0/8 drop");
    machine.shell(`kill ${stranger}`);
    await machine.delete("inner", 1);
  });

  it("is closed with the pod, and stays over a restart of the agent", async () => {
    await machine.killAgent();
    expect(machine.shell(`${curl} ${NODE}:8080`)).toBe("open\n");
    await machine.startAgent();
    await machine.exec("open", "true");
    expect(machine.shell(`${curl} ${NODE}:8080`)).toBe("open\n");
    await machine.delete("open", 1);
    expect(machine.shell(`${curl} ${NODE}:8080 || echo refused`)).toBe("refused\n");
    expect(machine.shell("nft list table ip podwire-hostports | grep -c comment || true")).toBe("0\n");
  });
});

describe("probes of a container", () => {
  /** A server of gRPC's health protocol by hand: no library is in the machine. */
  const health = `
const { createServer } = require("node:http2");
const server = createServer();
server.on("stream", (stream) => {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(Buffer.of(0, 0, 0, 0, 2, 8, require("node:fs").existsSync("/tmp/sick") ? 2 : 1));
});
server.listen(5000);
process.on("SIGTERM", () => process.exit(0));`;

  it("grpc: ready while it says SERVING; exec: an error, not a failure, where the command is missing", async () => {
    const node = "/opt/podwire/bin/node";
    const program = machine.shell(`ls ${node} ${process.execPath} 2>/dev/null | head -1`).trim();
    await machine.run("grpc", {
      containers: [
        {
          name: "c",
          image: "podwire/toolbox",
          command: [program, "-e", health],
          readinessProbe: { grpc: { port: 5000 }, periodSeconds: 1, failureThreshold: 1 },
          livenessProbe: { exec: { command: ["absent"] }, periodSeconds: 1, failureThreshold: 1 },
          volumeMounts: [{ name: "node", mountPath: program, readOnly: true }],
        },
      ],
      volumes: [{ name: "node", hostPath: { path: program } }],
    });
    await machine.exec("grpc", "touch /tmp/sick");
    await machine.until("it to be unready", async () => (await machine.container("grpc"))?.ready === false);
    await expect
      .poll(() => machine.events("grpc"))
      .toContain('Unhealthy: Readiness probe failed: service unhealthy (responded with "NOT_SERVING")');
    const start = "Unhealthy: Liveness probe errored and resulted in unknown state: rpc error: code = Unknown desc = ";
    const why = 'exec: "absent": executable file not found in $PATH: unknown';
    const events = machine.events("grpc");
    expect(events.filter((event) => event.startsWith(start) && event.endsWith(why))).not.toEqual([]);
    expect(events.filter((event) => event.startsWith("Killing"))).toEqual([]);
    await machine.delete("grpc", 1);
  });
});
