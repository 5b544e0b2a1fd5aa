/** Every command by the name it is called by. Each is loaded when it runs, so that start-up pays for one. */
import type { Applet } from "./applet.ts";


/** Programs of Nix: `ln -s silo nix-store` makes one, `silo nix-store` runs one. */
export const nixApplets: Readonly<Record<string, () => Promise<Applet>>> = {
  "nix-store": async () => (await import("./nix-store/nix-store.ts")).nixStore,
  "nix-hash": async () => (await import("./nix-hash.ts")).nixHash,
};

/** Commands of `silo <command>`. */
export const siloApplets: Readonly<Record<string, () => Promise<Applet>>> = {};
