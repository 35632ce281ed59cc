export {
  mutatingAdmissionPolicy,
  mutatingAdmissionPolicyBinding,
  validatingAdmissionPolicy,
  validatingAdmissionPolicyBinding,
} from "./policies.ts";
export { mutatingWebhookConfiguration, validatingWebhookConfiguration } from "./webhooks.ts";
