import { describe, expect, it } from "vitest";
import { signalName, stopSignal } from "./terminate.ts";

describe("the signal that tells a container to end", () => {
  // signal(7): numbers of x64 and arm64.
  it.each([
    [undefined, 15],
    ["SIGTERM", 15],
    ["SIGQUIT", 3],
    ["SIGUSR1", 10],
    ["SIGRTMIN", 34],
    ["SIGRTMIN+3", 37],
    ["SIGRTMAX-1", 63],
    ["SIGNONSENSE", 15],
  ])("%s is %d", (name, number) => {
    expect(stopSignal(name === undefined ? {} : { lifecycle: { stopSignal: name } })).toBe(number);
  });
});

// The API's constants (core/v1 Signal).
describe("the name of a stop signal", () => {
  it.each([
    [15, "SIGTERM"],
    [3, "SIGQUIT"],
    [34, "SIGRTMIN"],
    [37, "SIGRTMIN+3"],
    [64, "SIGRTMAX"],
  ])("%i: %s", (number, name) => expect(signalName(number)).toBe(name));
});
