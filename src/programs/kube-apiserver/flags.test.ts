import { describe, expect, it } from "vitest";
import { FlagError, parseFlags } from "./flags.ts";

describe("command line of kube-apiserver", () => {
  it("has defaults for everything", () => {
    expect(parseFlags([])).toMatchObject({
      securePort: 6443,
      serviceAccountIssuers: ["https://kubernetes.default.svc.cluster.local"],
      authorizationMode: ["Node", "RBAC"],
      serviceClusterIpRange: ["10.96.0.0/12"],
      serviceNodePortRange: [30000, 32767],
      durability: "disk",
      controllers: true,
      eventTtlSeconds: 3600,
    });
  });

  it("reads values as Go programs do", () => {
    const flags = parseFlags([
      "--secure-port",
      "7443",
      "--service-account-issuer=https://a,https://b",
      "--service-account-issuer=https://c",
      "--service-account-key-file=one.pub",
      "--service-account-key-file",
      "two.pub",
      "--anonymous-auth=false",
      "--enable-bootstrap-token-auth",
      "--event-ttl=1h30m",
      "--authorization-mode=RBAC",
      "-v=4",
    ]);
    expect(flags).toMatchObject({
      securePort: 7443,
      serviceAccountIssuers: ["https://a", "https://b", "https://c"],
      serviceAccountKeyFiles: ["one.pub", "two.pub"],
      anonymousAuth: false,
      bootstrapTokens: true,
      eventTtlSeconds: 5400,
      authorizationMode: ["RBAC"],
      verbosity: 4,
    });
  });

  it.each([
    [["--no-such-flag=x"], "unknown flag: --no-such-flag\nSee 'kube-apiserver --help'."],
    [["word"], "unknown argument: word"],
    [["--secure-port=0"], "--secure-port 0 must be between 1 and 65535, inclusive. It cannot be turned off with 0"],
    [["--data-dir"], "flag needs an argument: --data-dir"],
    [["--anonymous-auth=perhaps"], 'invalid argument for --anonymous-auth: "perhaps"; allowed are true and false'],
    [["--event-ttl=soon"], 'invalid argument for --event-ttl: "soon"; allowed is a duration, such as 1h30m'],
    [
      ["--authorization-mode=Webhook"],
      'invalid argument for --authorization-mode: "Webhook"; allowed are Node, RBAC, AlwaysAllow, AlwaysDeny',
    ],
    [["--tls-cert-file=x"], "invalid argument for --tls-private-key-file: needed with --tls-cert-file"],
    [
      ["--etcd-servers=https://127.0.0.1:2379"],
      "--etcd-servers: etcd as the store is not there yet; this server keeps its objects in --data-dir",
    ],
    [
      ["--tls-min-version=VersionTLS11"],
      "--tls-min-version: VersionTLS11 is not offered; allowed are VersionTLS12, VersionTLS13",
    ],
    [["--tls-min-version=1.3"], 'unknown tls version "1.3"'],
    [["--tls-cipher-suites=TLS_NULL"], "Cipher suite TLS_NULL not supported or doesn't exist"],
    [
      ["--tls-cipher-suites=TLS_RSA_WITH_RC4_128_SHA"],
      "--tls-cipher-suites: TLS_RSA_WITH_RC4_128_SHA is not offered: it is broken",
    ],
    [
      ["--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"],
      "error configuring http2: http2: TLSConfig.CipherSuites is missing an HTTP/2-required AES_128_GCM_SHA256 cipher (need at least one of TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)",
    ],
    [["--enable-admission-plugins=Nope"], 'enable-admission-plugins plugin "Nope" is unknown'],
    [["--disable-admission-plugins=Nope"], 'disable-admission-plugins plugin "Nope" is unknown'],
    [
      ["--enable-admission-plugins=Priority,PodSecurity", "--disable-admission-plugins=Priority,PodSecurity"],
      "[PodSecurity Priority] in enable-admission-plugins and disable-admission-plugins overlapped",
    ],
    [["--audit-log-path=/x"], "--audit-log-path: audit logs are not there"],
  ])("says what is wrong with %j", (argv, message) => {
    expect(() => parseFlags(argv)).toThrow(new FlagError(message));
  });

  it.each([
    [[], {}],
    [["--node-cidr-mask-size=22"], { ipv4: 22, ipv6: 22 }],
    [["--node-cidr-mask-size-ipv4=22"], { ipv4: 22 }],
    [["--cluster-cidr=fd00::/48", "--node-cidr-mask-size-ipv6=60"], { ipv6: 60 }],
    [
      ["--cluster-cidr=10.0.0.0/8,fd00::/48", "--node-cidr-mask-size-ipv4=22", "--node-cidr-mask-size-ipv6=60"],
      { ipv4: 22, ipv6: 60 },
    ],
  ])("combines mask sizes of nodes' subnets: %j", (argv, sizes) => {
    expect(parseFlags(argv).nodeCidrMaskSize).toEqual(sizes);
  });

  // The words are cmd/kube-controller-manager/app/core.go's.
  it.each([
    [
      ["--cluster-cidr=10.0.0.0/8,fd00::/48", "--node-cidr-mask-size=22"],
      "usage of --node-cidr-mask-size is not allowed with dual-stack clusters",
    ],
    [
      ["--node-cidr-mask-size=22", "--node-cidr-mask-size-ipv4=22"],
      "usage of --node-cidr-mask-size-ipv4 and --node-cidr-mask-size-ipv6 is not allowed if --node-cidr-mask-size is set. For dual-stack clusters please unset it and use IPFamily specific flags",
    ],
    [
      ["--node-cidr-mask-size-ipv6=60"],
      "usage of --node-cidr-mask-size-ipv6 is not allowed for a single-stack IPv4 cluster",
    ],
    [
      ["--cluster-cidr=fd00::/48", "--node-cidr-mask-size-ipv4=22"],
      "usage of --node-cidr-mask-size-ipv4 is not allowed for a single-stack IPv6 cluster",
    ],
  ])("refuses mask sizes that contradict: %j", (argv, message) => {
    expect(() => parseFlags(argv)).toThrow(new FlagError(message));
  });

  it("takes admission plugins that are there and names them where one is not", () => {
    expect(
      parseFlags(["--enable-admission-plugins=NodeRestriction,PodSecurity", "--tls-min-version=VersionTLS12"]),
    ).toEqual(parseFlags([]));
    expect(() =>
      parseFlags(["--enable-admission-plugins=NodeRestriction,AlwaysPullImages,ImagePolicyWebhook"]),
    ).toThrow(
      /^invalid argument for --enable-admission-plugins: AlwaysPullImages, ImagePolicyWebhook not there; those that are there: CertificateApproval, .*TaintNodesByCondition$/,
    );
  });

  it("turns admission plugins off", () => {
    const flags = [
      "--disable-admission-plugins=PodSecurity,ValidatingAdmissionWebhook",
      "--disable-admission-plugins=Priority",
    ];
    expect(parseFlags(flags).disabledPlugins).toEqual(["PodSecurity", "Priority"]);
  });

  it("reads versions and suites of TLS", () => {
    const suites = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_AES_128_GCM_SHA256";
    expect(parseFlags(["--tls-min-version=VersionTLS13", `--tls-cipher-suites=${suites}`])).toMatchObject({
      tlsMinVersion: "TLSv1.3",
      tlsCiphers:
        "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-RSA-AES128-GCM-SHA256",
    });
  });

  it("says how long requests and watches may take", () => {
    expect(parseFlags(["--request-timeout=1m", "--min-request-timeout=1800"]).ignored).toEqual([
      "--request-timeout: a request's body has 60 s to arrive, and no ordinary request waits for anything else",
      "--min-request-timeout: a watch without timeoutSeconds ends after 30 to 60 minutes",
    ]);
  });

  it("tells which flags have no effect, and why", () => {
    expect(parseFlags(["--allow-privileged=true", "--profiling=false"]).ignored).toEqual([
      "--allow-privileged: pods decide",
      "--profiling: there is none",
    ]);
  });

  it("explains every flag", () => {
    let help = "";
    try {
      parseFlags(["--help"]);
    } catch (error) {
      expect((error as FlagError).code).toBe(0);
      help = (error as FlagError).message;
    }
    for (const words of [
      "NAME\n",
      "SYNOPSIS\n",
      "DESCRIPTION\n",
      "--secure-port=port",
      "--data-dir=folder",
      "--etcd-servers",
    ])
      expect(help).toContain(words);
    expect(Math.max(...help.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
  });
});
