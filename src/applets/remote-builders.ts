/** Building on the machines that the setting `builders` names. What that takes is loaded when the first build asks. */
import { parseMachines } from "../formats/machines.ts";
import { readMachineFile } from "../remote/builders/machine-file.ts";
import type { BuildHook } from "../store/build-hook.ts";
import type { Environment } from "../store/directories.ts";
import type { LocalStore } from "../store/local-store.ts";

/** Undefined where there are no machines. @throws BadMachine */
export function remoteBuilders(store: LocalStore, env: Environment): BuildHook | undefined {
  const { settings } = store;
  const machines = parseMachines(settings.get("builders"), settings.get("system"), readMachineFile);
  if (machines.length === 0) return undefined;
  let hook: Promise<BuildHook> | undefined;
  return {
    async ask(request) {
      hook ??= open(store, env);
      return (await hook).ask(request);
    },
    close: () => void hook?.then((opened) => opened.close()),
  };
}

async function open(store: LocalStore, env: Environment): Promise<BuildHook> {
  const [{ machineHook }, { openMachines, sharedSlots }] = await Promise.all([
    import("../remote/builders/machine-hook.ts"),
    import("../remote/builders/open-machines.ts"),
  ]);
  return machineHook(store, openMachines(store, { env, ...sharedSlots(store) }));
}
