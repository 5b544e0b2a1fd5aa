import { operationCommand } from "./operation-command.ts";

export const verify = operationCommand(
  {
    name: "silo verify",
    summary: "Check that the store is what the database says",
    usage: ["[--check-contents] [--repair]"],
    examples: [{ does: "Everything, down to the last byte", command: "silo verify --check-contents" }],
    options: {
      "check-contents": { letter: "c", help: "Read all files, and check that they are what they were" },
      repair: { help: "Fetch or build again what is missing or damaged" },
    },
  },
  async () => (await import("../nix-store/verify.ts")).verify,
);
