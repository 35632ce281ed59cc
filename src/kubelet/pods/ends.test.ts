import { describe, expect, it } from "vitest";
import { testPod } from "../testing.ts";
import { ContainerHistory } from "./history.ts";
import { terminationMessage } from "./terminationMessage.ts";

const run = { id: "1", image: "nginx", imageId: "sha256:1", logPath: "/nowhere/0.log" };

describe("the record of a container's runs where there is no room", () => {
  it("has no run that could not be recorded, and every end", () => {
    let isFull = true;
    let notes = 0;
    const save = () => {
      if (isFull) throw new Error("ENOSPC");
    };
    const history = new ContainerHistory("Always", [], { save, note: () => void notes++ });
    expect(() => history.begin(run)).toThrow("ENOSPC");
    expect(history.record).toBeUndefined();
    expect(history.nextCount).toBe(0);
    isFull = false;
    history.begin(run);
    isFull = true;
    history.end({ exitCode: 1 });
    expect(notes).toBe(1);
    expect(history.record?.ended?.exitCode).toBe(1);
    expect(() => history.begin({ ...run, id: "2" })).toThrow("ENOSPC");
    expect(history.record?.id).toBe("1");
  });
});

describe("what a failed container says", () => {
  it("is why its log could not be read, in upstream's words", async () => {
    const container = { name: "web", image: "nginx", terminationMessagePolicy: "FallbackToLogsOnError" } as const;
    const message = await terminationMessage(
      { podsFolder: "/nowhere" },
      testPod(),
      container,
      { restartCount: 0, logPath: run.logPath },
      1,
    );
    expect(message).toMatch(/^Error on reading termination message from logs: .*ENOENT/);
  });
});
