/** `silo serve`: what `nix-store --serve` does. */
import { operationCommand } from "./operation-command.ts";

export const serve = operationCommand(
  {
    name: "silo serve",
    summary: "Serve a client on standard input and output, as ssh runs it for other machines",
    usage: ["[--write]"],
    examples: [{ does: "As a command in authorized_keys, for a key that may only fetch", command: "silo serve" }],
    options: { write: { help: "Let the client add paths and have derivations built" } },
  },
  async () => (await import("../nix-store/serve.ts")).serveClient,
);
