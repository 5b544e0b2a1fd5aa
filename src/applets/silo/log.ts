import { operationCommand } from "./operation-command.ts";

export const log = operationCommand(
  {
    name: "silo log",
    summary: "Print what the builders of paths printed",
    usage: ["PATHS…"],
    examples: [{ does: "How was this result built?", command: "silo log ./result" }],
    options: {},
  },
  async () => (await import("../nix-store/read-log.ts")).readLogs,
);
