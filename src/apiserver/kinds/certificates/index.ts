export { certificateSigningRequest } from "./signing-request.ts";
