import { describe } from "vitest";
import { serviceCompliance } from "../compliance/services.ts";
import { canUseEbpf, ebpfHarness } from "./ebpfHarness.ts";

describe.skipIf(!canUseEbpf())("ebpf", () => serviceCompliance(ebpfHarness));
