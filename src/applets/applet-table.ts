/** Every command by the name it is called by. Each is loaded when it runs, so that start-up pays for one. */
import type { Applet } from "./applet.ts";

/** Programs of Nix: `ln -s silo nix-store` makes one, `silo nix-store` runs one. */
export const nixApplets: Readonly<Record<string, () => Promise<Applet>>> = {
  "nix-store": async () => (await import("./nix-store/nix-store.ts")).nixStore,
  "nix-collect-garbage": async () => (await import("./nix-collect-garbage.ts")).nixCollectGarbage,
  "build-remote": async () => (await import("./build-remote.ts")).buildRemote,
  "download-via-ssh": async () => (await import("./download-via-ssh.ts")).downloadViaSsh,
  "nix-copy-closure": async () => (await import("./nix-copy-closure.ts")).nixCopyClosure,
  "nix-daemon": async () => (await import("./nix-daemon.ts")).nixDaemon,
  "nix-hash": async () => (await import("./nix-hash.ts")).nixHash,
};

/** Commands of `silo <command>`. */
export const siloApplets: Readonly<Record<string, () => Promise<Applet>>> = {
  add: async () => (await import("./silo/add.ts")).add,
  build: async () => (await import("./silo/build.ts")).build,
  copy: async () => (await import("./silo/copy.ts")).copyCommand,
  completion: async () => (await import("./silo/completion.ts")).completion,
  config: async () => (await import("./silo/config.ts")).config,
  daemon: async () => (await import("./nix-daemon.ts")).siloDaemon,
  derivation: async () => (await import("./silo/derivation.ts")).derivation,
  doctor: async () => (await import("./silo/doctor.ts")).doctor,
  gc: async () => (await import("./nix-collect-garbage.ts")).gc,
  hash: async () => (await import("./silo/hash.ts")).hash,
  init: async () => (await import("./silo/init.ts")).init,
  install: async () => (await import("./silo/install/install.ts")).install,
  key: async () => (await import("./silo/key.ts")).key,
  log: async () => (await import("./silo/log.ts")).log,
  nar: async () => (await import("./silo/nar.ts")).nar,
  optimise: async () => (await import("./silo/optimise.ts")).optimise,
  "path-info": async () => (await import("./silo/path-info.ts")).pathInfo,
  run: async () => (await import("./silo/run.ts")).run,
  shell: async () => (await import("./silo/shell.ts")).shell,
  serve: async () => (await import("./silo/serve.ts")).serve,
  sign: async () => (await import("./silo/sign.ts")).sign,
  store: async () => (await import("./silo/store.ts")).store,
  tree: async () => (await import("./silo/tree.ts")).tree,
  uninstall: async () => (await import("./silo/install/install.ts")).uninstall,
  verify: async () => (await import("./silo/verify.ts")).verify,
  "why-depends": async () => (await import("./silo/why-depends.ts")).whyDepends,
};

/** Commands that silo gives itself. */
export const hiddenApplets: Readonly<Record<string, () => Promise<Applet>>> = {
  "__build-stage": async () => (await import("./build-stage.ts")).buildStage,
  "__hash-paths": async () => (await import("./hash-paths.ts")).hashPathsHelper,
  "__empty-trash": async () => (await import("./empty-trash.ts")).emptyTrash,
};
