import { age, type Sample } from "./sample.ts";

/** A PKCS#10 request for CN=jane, O=dev, made by `openssl req -new -newkey ec`; base64 of its PEM text. */
export const signingRequest =
  "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIWE1IOENBUUF3SFRFTk1Bc0dBMVVFQXd3RWFtRnVaVEVNTUFvR0ExVUVDZ3dEWkdWMk1Ga3dFd1lIS29aSQp6ajBDQVFZSUtvWkl6ajBEQVFjRFFnQUVFSzQ4UFo0aU1YemN2czlUcElJQ1dZMU1RUDNGYnFPazlmUy9POFMxCjdYeWhJby90ZWxkUEp4YThYWUlvbXMxZ3RCczZGK3ZQejNTRkk5UEJkbzNtMjZBQU1Bb0dDQ3FHU000OUJBTUMKQTBnQU1FVUNJQVh6L1RtOGloODJDYk50NlErMlNmc2VvSHZNck1vQ0VUQjIxZUlycUI2akFpRUF4S1g0N1NZSApMSzdDMm5uOW5jdXF4TytmbVNKVTlyZjZZR0R1YTF6VTEwOD0KLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==";

const rule = { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] };
const webhook = {
  name: "pods.example.com",
  clientConfig: { service: { namespace: "test", name: "hook" } },
  admissionReviewVersions: ["v1"],
  sideEffects: "None",
  rules: [rule],
};
const withHook = (change: object) => ({ webhooks: [{ ...webhook, ...change }] });
const defaultedHook = {
  failurePolicy: "Fail",
  matchPolicy: "Equivalent",
  namespaceSelector: {},
  objectSelector: {},
  timeoutSeconds: 10,
  clientConfig: { service: { port: 443 } },
  rules: [{ scope: "*" }],
};
const webhookProblems = [
  [withHook({ name: "short" }), 'webhooks[0].name: Invalid value: "short": should be a domain with at least three'],
  [
    withHook({ clientConfig: {} }),
    "webhooks[0].clientConfig: Required value: exactly one of url or service is required",
  ],
  [
    withHook({ clientConfig: { url: "http://a.example.com/x" } }),
    `webhooks[0].clientConfig.url: Invalid value: "http": 'https' is the only allowed URL scheme; desired format: https://host[/path]`,
  ],
  [
    withHook({ sideEffects: "Some" }),
    'webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"',
  ],
  [
    withHook({ timeoutSeconds: 31 }),
    "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
  ],
  [
    withHook({ admissionReviewVersions: [], failurePolicy: "Maybe" }),
    '[webhooks[0].failurePolicy: Unsupported value: "Maybe": supported values: "Fail", "Ignore", webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1]',
  ],
  [
    withHook({ rules: [{ ...rule, operations: ["*", "CREATE"] }] }),
    `webhooks[0].rules[0].operations: Invalid value: ["*","CREATE"]: if '*' is present, must not specify other operations`,
  ],
] as const;

const match = { resourceRules: [rule] };
const policyBody = (change: object = {}) => ({ spec: { matchConstraints: match, ...change } });

/** Samples of what extends the API: webhooks, policies, aggregated servers, certificates. */
export const extensions: readonly Sample[] = [
  {
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    plural: "certificatesigningrequests",
    namespaced: false,
    body: {
      spec: {
        request: signingRequest,
        signerName: "kubernetes.io/kube-apiserver-client",
        usages: ["client auth"],
        expirationSeconds: 86400,
        username: "somebody-else",
      },
    },
    defaulted: { spec: { username: "admin", groups: ["system:masters"] }, status: {} },
    invalid: [
      [
        { spec: { request: "bm8=", signerName: "a.io/b", usages: ["client auth"] } },
        'spec.request: Invalid value: "bm8=": PEM block type must be CERTIFICATE REQUEST',
      ],
      [
        { spec: { request: signingRequest, signerName: "nodomain", usages: ["client auth"] } },
        `spec.signerName: Invalid value: "nodomain": must be a fully qualified domain and path of the form 'example.com/signer-name'`,
      ],
      [
        { spec: { request: signingRequest, signerName: "kubernetes.io/legacy-unknown", usages: ["client auth"] } },
        'spec.signerName: Invalid value: "kubernetes.io/legacy-unknown": the legacy signerName is not allowed via this API version',
      ],
      [
        { spec: { request: signingRequest, signerName: "a.io/b", usages: ["walk"], expirationSeconds: 5 } },
        "spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 600 seconds (10 minutes)",
      ],
      [
        { spec: { request: signingRequest, signerName: "a.io/b", usages: ["client auth", "client auth"] } },
        'spec.usages[1]: Duplicate value: "client auth"',
      ],
    ],
    columns: "Name Age SignerName Requestor RequestedDuration Condition",
    cells: [age, "kubernetes.io/kube-apiserver-client", "admin", "24h", "Pending"],
  },
  {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingWebhookConfiguration",
    plural: "validatingwebhookconfigurations",
    namespaced: false,
    body: { webhooks: [webhook] },
    defaulted: { webhooks: [defaultedHook] },
    invalid: webhookProblems,
    columns: "Name Webhooks Age",
    cells: [1, age],
  },
  {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
    plural: "mutatingwebhookconfigurations",
    namespaced: false,
    body: { webhooks: [webhook] },
    defaulted: { webhooks: [{ ...defaultedHook, reinvocationPolicy: "Never" }] },
    invalid: [
      ...webhookProblems,
      [
        withHook({ reinvocationPolicy: "Often" }),
        'webhooks[0].reinvocationPolicy: Unsupported value: "Often": supported values: "IfNeeded", "Never"',
      ],
    ],
    columns: "Name Webhooks Age",
    cells: [1, age],
  },
  {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicy",
    plural: "validatingadmissionpolicies",
    namespaced: false,
    body: policyBody({ validations: [{ expression: "object.spec.replicas <= 5" }] }),
    defaulted: {
      spec: {
        failurePolicy: "Fail",
        matchConstraints: { matchPolicy: "Equivalent", namespaceSelector: {}, objectSelector: {} },
      },
    },
    invalid: [
      [
        policyBody(),
        "[spec.validations: Required value: validations or auditAnnotations must contain at least one item, spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item]",
      ],
      [
        policyBody({ validations: [{ expression: " " }] }),
        "spec.validations[0].expression: Required value: expression is not specified",
      ],
      [{ spec: { validations: [{ expression: "true" }] } }, "spec.matchConstraints: Required value"],
    ],
    columns: "Name Validations ParamKind Age",
    cells: [1, "<unset>", age],
  },
  {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicyBinding",
    plural: "validatingadmissionpolicybindings",
    namespaced: false,
    body: { spec: { policyName: "p", validationActions: ["Deny"] } },
    invalid: [
      [{ spec: { validationActions: ["Deny"] } }, "spec.policyName: Required value"],
      [
        { spec: { policyName: "p", validationActions: ["Shout"] } },
        'spec.validationActions[0]: Unsupported value: "Shout": supported values: "Audit", "Deny", "Warn"',
      ],
      [{ spec: { policyName: "p" } }, "spec.validationActions: Required value"],
    ],
    columns: "Name PolicyName ParamRef Age",
    cells: ["p", "<unset>", age],
  },
  {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingAdmissionPolicy",
    plural: "mutatingadmissionpolicies",
    namespaced: false,
    body: policyBody({
      reinvocationPolicy: "Never",
      mutations: [{ patchType: "ApplyConfiguration", applyConfiguration: { expression: "Object{}" } }],
    }),
    defaulted: { spec: { failurePolicy: "Fail" } },
    invalid: [[policyBody({ reinvocationPolicy: "Never" }), "spec.mutations: Required value"]],
    columns: "Name Mutations ParamKind Age",
    cells: [1, "<unset>", age],
  },
  {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingAdmissionPolicyBinding",
    plural: "mutatingadmissionpolicybindings",
    namespaced: false,
    body: { spec: { policyName: "p" } },
    invalid: [[{ spec: {} }, "spec.policyName: Required value"]],
    columns: "Name PolicyName ParamRef Age",
    cells: ["p", "<unset>", age],
  },
  {
    apiVersion: "apiregistration.k8s.io/v1",
    kind: "APIService",
    plural: "apiservices",
    namespaced: false,
    name: "v1beta1.custom.metrics.k8s.io",
    body: {
      spec: {
        group: "custom.metrics.k8s.io",
        version: "v1beta1",
        groupPriorityMinimum: 100,
        versionPriority: 100,
        insecureSkipTLSVerify: true,
        service: { namespace: "kube-system", name: "prometheus-adapter" },
      },
    },
    defaulted: { spec: { service: { port: 443 } }, status: { conditions: [{ type: "Available", status: "False" }] } },
    invalid: [
      [
        { spec: { group: "x.io", version: "v1", groupPriorityMinimum: 1, versionPriority: 1 } },
        'metadata.name: Invalid value: "other-name": must be `spec.version+"."+spec.group`: "v1.x.io"',
      ],
      [
        { spec: { group: "x.io", version: "v1", groupPriorityMinimum: 20001, versionPriority: 1 } },
        "spec.groupPriorityMinimum: Invalid value: 20001: must be positive and less than 20000",
      ],
    ],
    columns: "Name Service Available Age",
    cells: ["kube-system/prometheus-adapter", "False (NotAggregated)", age],
  },
  {
    apiVersion: "flowcontrol.apiserver.k8s.io/v1",
    kind: "FlowSchema",
    plural: "flowschemas",
    namespaced: false,
    body: {
      spec: {
        priorityLevelConfiguration: { name: "workload-low" },
        rules: [
          {
            subjects: [{ kind: "Group", group: { name: "dev" } }],
            resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: ["*"] }],
          },
        ],
      },
    },
    defaulted: { spec: { matchingPrecedence: 1000 } },
    invalid: [
      [
        { spec: { priorityLevelConfiguration: { name: "x" }, matchingPrecedence: 10001 } },
        "spec.matchingPrecedence: Invalid value: 10001",
      ],
    ],
    columns: "Name PriorityLevel MatchingPrecedence DistinguisherMethod Age MissingPL",
    cells: ["workload-low", 1000, "<none>", age, "?"],
  },
  {
    apiVersion: "flowcontrol.apiserver.k8s.io/v1",
    kind: "PriorityLevelConfiguration",
    plural: "prioritylevelconfigurations",
    namespaced: false,
    body: { spec: { type: "Limited", limited: { limitResponse: { type: "Queue", queuing: {} } } } },
    defaulted: {
      spec: {
        limited: {
          nominalConcurrencyShares: 30,
          lendablePercent: 0,
          limitResponse: { queuing: { queues: 64, handSize: 8, queueLengthLimit: 50 } },
        },
      },
    },
    invalid: [
      [{ spec: { type: "Limited" } }, "spec.limited: Required value: must not be empty when type is Limited"],
      [{ spec: { type: "Odd" } }, 'spec.type: Unsupported value: "Odd": supported values: "Exempt", "Limited"'],
    ],
    columns: "Name Type NominalConcurrencyShares Queues HandSize QueueLengthLimit Age",
    cells: ["Limited", 30, 64, 8, 50, age],
  },
];
