/** The machines that the setting `builders` names, ready to be built on. */
import { type Machine, parseMachines } from "../../formats/machines.ts";
import { SiloError } from "../../error.ts";
import type { Environment } from "../../store/directories.ts";
import type { LocalStore } from "../../store/local-store.ts";
import { type BuilderMachine, builderMachine } from "./builder-machine.ts";
import { readMachineFile } from "./machine-file.ts";
import { slotPrefix } from "./slots.ts";

export interface OpenMachinesOptions {
  readonly env: Environment;
  /** Where the slots' files are, and what they are called. */
  readonly slotDirectory: string;
  slotPrefix(machine: Machine): string;
}

/** Nothing is connected to yet. Machines that ssh does not reach are passed over with a warning. @throws BadMachine */
export function openMachines(store: LocalStore, options: OpenMachinesOptions): BuilderMachine[] {
  const { settings, reporter, storeDir } = store;
  const machines = parseMachines(settings.get("builders"), settings.get("system"), readMachineFile);
  const connection = {
    env: options.env,
    reporter,
    connectTimeoutMs: settings.get("connect-timeout") * 1000,
    stalledTimeoutMs: settings.get("stalled-download-timeout") * 1000,
    attempts: 1,
  };
  return machines.flatMap((machine) => {
    const context = {
      storeDir,
      slotDirectory: options.slotDirectory,
      slotPrefix: options.slotPrefix(machine),
      connection,
    };
    try {
      return [builderMachine(machine, context)];
    } catch (error) {
      if (!(error instanceof SiloError)) throw error;
      reporter.message("warning", `warning: machine '${machine.uri}' is not used: ${error.message}`);
      return [];
    }
  });
}

/** As today's Nix has it, so that both share the slots. */
export function sharedSlots(store: LocalStore): Pick<OpenMachinesOptions, "slotDirectory" | "slotPrefix"> {
  return { slotDirectory: `${store.stateDir}/current-load`, slotPrefix: ({ uri }) => slotPrefix(uri) };
}
