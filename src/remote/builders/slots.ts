/**
 * Slots of machines, shared by all processes of this one, Nix's build hooks included: a slot is a lock file in a directory,
 * and whoever has it locked has the slot. A process that dies gives its slots back.
 */
import { close } from "../../sys/descriptor.ts";
import { openLockFile, tryLock } from "../../sys/file-lock.ts";
import { chmod } from "../../sys/metadata.ts";
import { mkdirs } from "../../sys/names.ts";
import { isSystemError } from "../../sys/system-error.ts";

export interface MachineSlots {
  /** How many are taken, by whomever. */
  load(): number;
  /** Gives a slot back when called; undefined when all are taken. */
  tryTake(): (() => void) | undefined;
}

/**
 * @param directory `current-load` in the state directory; made when missing
 * @param prefix of the files' names; a number follows
 */
export function machineSlots(directory: string, prefix: string, count: number): MachineSlots {
  let isMade = false;

  function prepare(): void {
    if (isMade) return;
    isMade = true;
    mkdirs(directory, 0o777);
    try {
      chmod(directory, 0o777); // past the umask: other users' builds share it
    } catch (error) {
      if (!isSystemError(error, "EPERM")) throw error; // another's directory
    }
  }

  function tryOne(slot: number): number | undefined {
    const fd = openLockFile(`${directory}/${prefix}-${slot}`);
    if (tryLock(fd, "exclusive")) return fd;
    close(fd);
    return undefined;
  }

  return {
    load() {
      prepare();
      let taken = 0;
      for (let slot = 0; slot < count; slot++) {
        const fd = tryOne(slot);
        if (fd === undefined) taken++;
        else close(fd);
      }
      return taken;
    },
    tryTake() {
      prepare();
      for (let slot = 0; slot < count; slot++) {
        const fd = tryOne(slot);
        if (fd === undefined) continue;
        let isOurs = true;
        return () => {
          if (isOurs) close(fd);
          isOurs = false;
        };
      }
      return undefined;
    },
  };
}

/** As today's Nix names the files. */
export function slotPrefix(uri: string): string {
  return uri.replaceAll("/", "_");
}

/** As the hook of Nix 1.7 does. */
export function oldSlotPrefix(systems: readonly string[], host: string): string {
  return `${systems.join("+")}-${host}`;
}
