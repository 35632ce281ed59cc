/** Connection tracking by ctnetlink: listing and forgetting connections; and a fake. */
export { FakeConntrack } from "./fake.ts";
export { type Conntrack, type Flow, type FlowFilter, type Tuple, tupleText } from "./flow.ts";
export { openConntrack } from "./kernel.ts";
