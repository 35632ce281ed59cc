import { ipvsCompliance } from "#test/compliance/ipvs.ts";
import { FakeIpvs } from "./fake.ts";

ipvsCompliance("fake", () => new FakeIpvs());
