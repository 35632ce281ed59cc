export { FakeApi } from "./fake.ts";
export type { FakeObject } from "./requests.ts";
