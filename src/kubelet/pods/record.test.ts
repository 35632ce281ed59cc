import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { testPod } from "../testing.ts";
import { PodRecords } from "./record.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pw-records-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

it("an agent that is killed while it writes a record leaves one record of the pod, the one from before", () => {
  const records = new PodRecords(folder);
  const record = { pod: testPod(), startTime: "2026-01-01T00:00:00Z", containers: {} };
  records.save(record);
  // What is there between the write and the rename, whole or not.
  const later = { ...record, startTime: "2026-01-02T00:00:00Z" };
  writeFileSync(join(folder, "u-1.json.new"), JSON.stringify(later));
  writeFileSync(join(folder, "u-2.json.new"), readFileSync(join(folder, "u-1.json"), "utf8").slice(0, 20));
  writeFileSync(join(folder, "u-3.json"), "{");
  expect(new PodRecords(folder).load()).toEqual([record]);
  expect(readdirSync(folder)).toEqual(["u-1.json"]);
});
