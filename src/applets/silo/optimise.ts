import { operationCommand } from "./operation-command.ts";

export const optimise = operationCommand(
  {
    name: "silo optimise",
    summary: "Save space: make files with the same contents one",
    usage: [""],
    examples: [{ does: "The whole store", command: "silo optimise" }],
    options: {},
  },
  async () => (await import("../nix-store/optimise.ts")).optimise,
);
