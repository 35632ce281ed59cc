import { describe, expect, it } from "vitest";
import { eventually } from "#test/support/firstLight.ts";
import { clusterSuite } from "#test/support/suite.ts";

/** The configuration of the notes, as it is written there. */
const MYNET = `{
  "cniVersion": "0.2.0",
  "name": "mynet",
  "type": "bridge",
  "bridge": "cni0",
  "isGateway": true,
  "ipMasq": true,
  "ipam": {
    "type": "host-local",
    "subnet": "10.22.0.0/16",
    "routes": [
      { "dst": "0.0.0.0/0" }
    ]
  }
}
`;

/** A script in the notes' way: it knows nothing of CNI, writes what it is told, and prints no result. */
const NET_SCRIPT = `#!/bin/sh
echo "$1 $2 $3 $CNI_COMMAND $CNI_IFNAME $CNI_NETNS $(tr -d '\\n')" >>/var/log/net-script.log
case $1 in
ADD|add)
    # Create veth pair
    ip link add veth-script type veth peer name eth0 netns "$3"
    # Assign IP Address
    ip -n "$3" addr add 10.244.1.200/24 dev eth0
    # Bring Up Interface
    ip -n "$3" link set eth0 up
    ip link set veth-script up master cni0
    ip -n "$3" route add default via 10.244.1.1
    echo created for "$2";;
DEL|DELETE|delete)
    # Delete veth pair
    ip link del veth-script;;
esac
`;

const suite = clusterSuite(["--example", "none"]);
const k = (command: string, input?: string): Promise<string> => suite.kubectl.ok(command, input);

/** Runs a script on the node; it has to succeed. */
async function on(node: string, script: string): Promise<string> {
  const { code, stdout, stderr } = await suite.cluster.sh(node, script);
  expect({ script, code, stderr }).toEqual({ script, code: 0, stderr: "" });
  return stdout;
}

/** Writes a file on the node in one step, as careful people do. */
const write = (node: string, path: string, text: string, mode = "644") =>
  on(node, `cat >${path}.new <<'END'\n${text}END\nchmod ${mode} ${path}.new; mv ${path}.new ${path}`);

/** Starts a shell's pod on a node, without asking the scheduler. */
const start = (name: string, node: string) =>
  suite.kubectl.okWords([
    "run",
    name,
    "--image=podwire/toolbox",
    `--overrides={"spec":{"nodeName":"${node}"}}`,
    "--",
    "sleep",
    "infinity",
  ]);
const ready = (name: string) => k(`wait --for=condition=Ready pod/${name} --timeout=60s`);
const addressOf = (name: string) => k(`get pod ${name} -o jsonpath={.status.podIP}`);
const remove = (name: string) => k(`delete pod ${name} --grace-period=1`);

describe("CNI on a node", () => {
  it("N03 has the folders, the default network and the plugins; kubelet's flags name them", async () => {
    expect(await on("node01", "ls /etc/cni/net.d")).toBe("10-podwire.conflist\n");
    const plugins = (await on("node01", "ls /opt/cni/bin")).split("\n");
    expect(plugins).toEqual(expect.arrayContaining(["bridge", "host-local", "loopback"]));
    const config = JSON.parse(await on("node01", "cat /etc/cni/net.d/*.conflist")) as {
      plugins: Record<string, unknown>[];
    };
    expect(config.plugins[0]).toMatchObject({
      type: "bridge",
      bridge: "cni0",
      isGateway: true,
      ipMasq: false,
      mtu: 1450,
    });
    expect(JSON.stringify(config)).toContain("10.244.1.0/24");
    const flags = await on("node01", "ps -ww -e -o args | grep '[/]kubelet'");
    for (const flag of ["--network-plugin=cni", "--cni-conf-dir=/etc/cni/net.d", "--cni-bin-dir=/opt/cni/bin"])
      expect(flags).toContain(flag);
  });

  it("N01 N02 a pod's namespace, made and named by the runtime, is one that ip netns shows (part: in the cluster)", async () => {
    await start("plain", "node01");
    await ready("plain");
    const address = await addressOf("plain");
    expect(address).toMatch(/^10\.244\.1\.\d+$/);
    const names = (await on("node01", "ip netns list")).split("\n").map((line) => line.split(" ")[0]);
    const found = await on("node01", `for n in ${names.join(" ")}; do ip -n $n -4 -brief addr show eth0; done`);
    expect(found).toContain(`${address}/24`);
    await remove("plain");
    await eventually(async () => expect(await on("node01", "ls /var/lib/cni/networks/*")).not.toContain(address));
  });

  it("N01 podwire cni does a container runtime's duties by hand: ADD, CHECK, DEL, STATUS, GC", async () => {
    const cni = (...words: string[]) => suite.cluster.podwire("cni", ...words, "--on", "node01");
    await on("node01", "ip netns add byhand; ip netns add lost");
    const added = await cni("add", "byhand");
    const { cniVersion, ips, interfaces } = JSON.parse(added.stdout) as {
      cniVersion: string;
      ips: { address: string; gateway: string }[];
      interfaces: { name: string; sandbox?: string }[];
    };
    expect(cniVersion).toMatch(/^1\./);
    expect(ips[0]).toMatchObject({ address: expect.stringMatching(/^10\.244\.1\.\d+\/24$/), gateway: "10.244.1.1" });
    expect(interfaces).toContainEqual(expect.objectContaining({ name: "eth0", sandbox: "/run/netns/byhand" }));
    const address = ips[0]?.address ?? "";
    expect(await on("node01", "ip -n byhand -4 -br addr show eth0")).toContain(address);
    expect(await on("node01", "ip -n byhand route")).toContain("default via 10.244.1.1");
    for (const words of [["check", "byhand"], ["status"], ["add", "lost", "--ifname", "net1"]])
      expect((await cni(...words)).code).toBe(0);
    const held = () => on("node01", "ls /var/lib/cni/networks/*; ls /var/lib/cni/results");
    // The namespace goes before its DEL: what it held is let go of by a GC, and by that what lives is left alone.
    await on("node01", "ip netns del lost");
    expect(await held()).toMatch(/cnitool-\w+-net1/);
    expect((await cni("gc")).code).toBe(0);
    expect(await held()).not.toMatch(/-net1/);
    expect(await held()).toContain(address.split("/")[0]);
    // What does not fit any more is found, in the plugin's words.
    await on("node01", "ip -n byhand addr flush dev eth0");
    const checked = await cni("check", "byhand");
    expect([checked.code, JSON.parse(checked.stdout)]).toEqual([
      1,
      expect.objectContaining({ msg: expect.any(String) }),
    ]);
    expect((await cni("del", "byhand")).code).toBe(0);
    expect(await on("node01", "ip -n byhand -br link")).not.toContain("eth0");
    await on("node01", "ip netns del byhand");
    expect(await held()).not.toContain("cnitool");
  });

  it("N02 the executables answer VERSION as any runtime may ask (part: VERSION)", async () => {
    for (const plugin of ["bridge", "host-local", "loopback"]) {
      const answer = JSON.parse(await on("node01", `CNI_COMMAND=VERSION /opt/cni/bin/${plugin} </dev/null`)) as {
        supportedVersions: string[];
      };
      expect(answer.supportedVersions).toEqual(expect.arrayContaining(["0.1.0", "0.2.0", "0.4.0", "1.0.0", "1.1.0"]));
    }
  });
});

describe("N03 N04 the notes' mynet on node01", () => {
  it("is accepted unchanged and comes first in the alphabet: new pods there get 10.22.x addresses", async () => {
    await start("before", "node01");
    await ready("before");
    await write("node01", "/etc/cni/net.d/05-mynet.conf", MYNET);
    await eventually(async () => expect((await suite.cluster.status()).state).toBe("degraded"));
    await start("mine", "node01");
    await start("other", "node02");
    for (const name of ["mine", "other"]) await ready(name);
    expect(await addressOf("mine")).toMatch(/^10\.22\.0\.\d+$/);
    expect(await addressOf("other")).toMatch(/^10\.244\.2\./);
    expect(await addressOf("before")).toMatch(/^10\.244\.1\./);
    expect(await on("node01", "ip -4 addr show cni0")).toContain("inet 10.22.0.1/16");
    expect(await suite.kubectl.inPod("default", "mine", "ip route")).toMatch(/^default via 10\.22\.0\.1 dev eth0/);
    // The node masquerades what leaves, so that its pods reach others all the same.
    const ping = `ping -c1 -W2 ${await addressOf("other")}`;
    await eventually(async () => expect(await suite.kubectl.inPod("default", "mine", ping)).toContain("1 received"));
  });

  it("status says that the node left the cluster's pod network, as text and as JSON", async () => {
    const reason =
      "node node01 has left the cluster's pod network: network \"mynet\" of /etc/cni/net.d/05-mynet.conf gives pods addresses of 10.22.0.0/16, outside this node's 10.244.1.0/24 of the cluster's pod network";
    const status = await suite.cluster.status();
    expect(status).toMatchObject({ state: "degraded", reasons: [reason] });
    expect((await suite.cluster.podwire("status")).stdout).toContain(`  ! ${reason}\n`);
  });

  it("check finds it too", async () => {
    const { code, stdout } = await suite.cluster.podwire("check", "pods");
    expect(code).toBe(1);
    // Others have no way to it, and what it sends leaves the node under the node's address in the pod network.
    expect(stdout).toMatch(
      /^✗ every pod reaches every pod on other nodes .*(\n {4}.*)*\n {4}default\/other → default\/mine: no answer$/m,
    );
    expect(stdout).toMatch(
      /^✗ no address is translated on the way .*(\n {4}.*)*\n {4}default\/mine → default\/other: arrives from 10\.244\.1\.0$/m,
    );
    expect(stdout).toMatch(/^ {4}node02 → default\/mine: no answer$/m);
  });

  it("taking the file away heals: new pods are in the pod network again", async () => {
    await on("node01", "rm /etc/cni/net.d/05-mynet.conf");
    await eventually(async () => expect(await suite.cluster.status()).toMatchObject({ state: "ready", reasons: [] }));
    await start("after", "node01");
    await ready("after");
    expect(await addressOf("after")).toMatch(/^10\.244\.1\./);
    for (const name of ["before", "mine", "other", "after"]) await remove(name);
    await eventually(async () =>
      expect(await on("node01", "ls /var/lib/cni/networks/mynet")).not.toContain("10.22.0."),
    );
  });

  it("a file later in the alphabet changes nothing", async () => {
    await write("node01", "/etc/cni/net.d/99-mynet.conf", MYNET);
    await start("same", "node01");
    await ready("same");
    expect(await addressOf("same")).toMatch(/^10\.244\.1\./);
    expect((await suite.cluster.status()).state).toBe("ready");
    await remove("same");
    await on("node01", "rm /etc/cni/net.d/99-mynet.conf");
  });
});

describe("N05 net-script.sh as a plugin", () => {
  it("is called with CNI's environment and standard input and with add|del <id> <netns>; an event says what it left out", async () => {
    // cni0 exists as soon as one pod was there.
    await start("first", "node01");
    await ready("first");
    await write("node01", "/opt/cni/bin/net-script.sh", NET_SCRIPT, "755");
    await write(
      "node01",
      "/etc/cni/net.d/05-script.conf",
      '{ "cniVersion": "0.2.0", "name": "scripted", "type": "net-script" }\n',
    );
    await start("scripted", "node01");
    await ready("scripted");
    expect(await addressOf("scripted")).toBe("10.244.1.200");
    expect(await on("node01", "ping -c1 -W5 10.244.1.200")).toContain("1 received");
    expect(await on("node01", "cat /var/log/net-script.log")).toMatch(
      /^(add|ADD) [0-9a-f]{64} (cni-\S+) ADD eth0 \/run\/netns\/\2 \{.*"type": ?"net-script".*\}\n$/,
    );
    await eventually(async () =>
      expect(await suite.kubectl.events("default", "scripted")).toContain(
        'NetworkPlugin: network "scripted": net-script.sh printed no CNI result; 10.244.1.200/24 was read from eth0 in the namespace',
      ),
    );
    await remove("scripted");
    await eventually(async () =>
      expect(await on("node01", "tail -1 /var/log/net-script.log")).toMatch(
        /^(DEL|DELETE|delete) [0-9a-f]{64} cni-\S+ (DEL|DELETE) eth0 /,
      ),
    );
    // The script writes its log before it works.
    await eventually(async () => expect(await on("node01", "ip link")).not.toContain("veth-script"));
  });

  it("a script that fails is named in the pod's events with what it said", async () => {
    await write("node01", "/opt/cni/bin/net-script.sh", "#!/bin/sh\necho no cable left >&2\nexit 3\n", "755");
    await start("unlucky", "node01");
    await eventually(async () =>
      expect((await suite.kubectl.events("default", "unlucky")).join("\n")).toMatch(
        /FailedCreatePodSandBox: .*plugin type="net-script" name="scripted" failed: .*no cable left/,
      ),
    );
    await on("node01", "rm /etc/cni/net.d/05-script.conf /opt/cni/bin/net-script.sh");
    await ready("unlucky");
    for (const name of ["unlucky", "first"]) await remove(name);
  });
});

describe("N03 U03 mistakes in a configuration are named with file and line (part: JSON in the cluster)", () => {
  const mistakes: [string, string, RegExp][] = [
    ["a comment", `// /etc/cni/net.d/plugin.conf\n${MYNET}`, /05-wrong\.conf:1: a comment; JSON has none, remove it/],
    [
      "curly quotes",
      MYNET.replace('"bridge",\n  "bridge"', '\u201cbridge",\n  "bridge"'),
      /05-wrong\.conf:4: a curly quote; write a straight one/,
    ],
    [
      "an unknown plugin",
      MYNET.replace('"type": "bridge"', '"type": "brigde"'),
      /failed to find plugin "brigde" in path \[\/opt\/cni\/bin\]/,
    ],
  ];
  it.each(mistakes)("%s", async (what, text, message) => {
    const name = what.replace(/ /g, "-");
    await write("node01", "/etc/cni/net.d/05-wrong.conf", text);
    await start(name, "node01");
    await eventually(async () => expect((await suite.kubectl.events("default", name)).join("\n")).toMatch(message));
    expect(await k(`get pod ${name} -o jsonpath={.status.phase}`)).toBe("Pending");
    await on("node01", "rm /etc/cni/net.d/05-wrong.conf");
    await ready(name);
    expect(await addressOf(name)).toMatch(/^10\.244\.1\./);
    await remove(name);
  });

  it("a node without a configuration is NotReady with upstream's message, and ready when it is back", async () => {
    await on("node02", "mkdir /tmp/aside; mv /etc/cni/net.d/* /tmp/aside/");
    const message = () => k('get node node02 -o jsonpath={.status.conditions[?(@.type=="Ready")].message}');
    await eventually(async () =>
      expect(await message()).toBe(
        "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized",
      ),
    );
    expect(await k("get nodes --no-headers")).toMatch(/^node02 +NotReady/m);
    await eventually(async () =>
      expect(await suite.cluster.status()).toMatchObject({
        state: "degraded",
        nodes: [{}, {}, { name: "node02", state: "NotReady" }],
      }),
    );
    await eventually(async () =>
      expect(await k("describe node node02")).toMatch(/^Taints: +node\.kubernetes\.io\/not-ready:No/m),
    );
    await on("node02", "mv /tmp/aside/* /etc/cni/net.d/");
    await eventually(async () => expect(await k("get nodes --no-headers")).toMatch(/^node02 +Ready/m));
    await eventually(async () => expect((await suite.cluster.status()).state).toBe("ready"));
  });
});
