/** Control groups, version 2 (kernel documentation, cgroup-v2): folders of processes with limits. */
export {
  controllersOf,
  enableControllers,
  endGroup,
  makeGroup,
  processesIn,
  readNumbers,
  removeGroup,
} from "./groups.ts";
