/**
 * build-remote: the build hook that Nix starts, with the setting `build-hook` (today) or in NIX_BUILD_HOOK (Nix 1.7, which gives it four
 * arguments). silo itself builds on other machines without it.
 */
import { UsageError } from "../error.ts";
import type { ByteString } from "../formats/byte-string.ts";
import { type Assignment, resolveName, type Settings, withSettings } from "../formats/settings/settings.ts";
import type { SettingSource } from "../formats/settings/source.ts";
import { buildSettings } from "../remote/builders/machine-hook.ts";
import { openMachines, sharedSlots } from "../remote/builders/open-machines.ts";
import { oldSlotPrefix } from "../remote/builders/slots.ts";
import { callerOfOld } from "../remote/hook-program/caller-of-old.ts";
import { callerOfToday, readCallerSettings } from "../remote/hook-program/caller-of-today.ts";
import { type HookOptions, runHook } from "../remote/hook-program/run-hook.ts";
import { parseStoreUri } from "../remote/store-uri.ts";
import type { MachineRequirements } from "../formats/machines.ts";
import { directoriesFromEnvironment } from "../store/directories.ts";
import { loadSettings } from "../store/load-settings.ts";
import type { LocalStore } from "../store/local-store.ts";
import { fdReader } from "../sys/fd-reader.ts";
import type { Applet } from "./applet.ts";
import { readCommonFlags } from "./command-line/common-options.ts";
import type { Io } from "./io.ts";
import { requireLocal, withStore } from "./open-store.ts";
import { openSession } from "./session.ts";

const usage = "build-remote is started by Nix as its build hook: set 'build-hook = /path/to/build-remote' in nix.conf";
const page = `build-remote: Build on other machines, for Nix as its build hook

Examples:
  # In the nix.conf of a stock Nix; the setting \`builders\` says which machines there are
  build-hook = /usr/local/bin/build-remote

Usage:
  build-remote VERBOSITY                                  as today's Nix starts it
  build-remote SYSTEM MAX-SILENT-TIME PRINT-TRACE TIMEOUT  as Nix 1.7 does

silo builds on other machines by itself: it takes the setting \`builders\` without this program.
`;

export const buildRemote: Applet = {
  name: "build-remote",
  summary: "Build on other machines, for Nix as its build hook",
  async run(args, io) {
    if (args.length === 4) return runForOld(args, io);
    if (args.length === 1 && /^[0-9]+$/.test(args[0]!)) return runForToday(io);
    if (args[0] === "--help" || args[0] === "-h") {
      io.out(page);
      return 0;
    }
    throw new UsageError(usage);
  },
};

/** Where settings that the caller hands us come from. */
const fromCaller: SettingSource = { kind: "command-line" };

async function runForToday(io: Io): Promise<number> {
  const reader = fdReader(io.stdinFd, "standard input");
  const assignments = readCallerSettings(reader).map(
    ([name, value]): Assignment => ({ name, value, source: fromCaller }),
  );
  return withHookStore(io, assignments, (store) => ({
    store,
    caller: callerOfToday(reader, store.storeDir),
    machines: openMachines(store, { env: io.env, ...sharedSlots(store) }),
    ...commonOptions(store),
  }));
}

async function runForOld(args: readonly ByteString[], io: Io): Promise<number> {
  const [system, maxSilentTime, trace, timeout] = args as [ByteString, ByteString, ByteString, ByteString];
  const reader = fdReader(io.stdinFd, "standard input");
  const settings: readonly [string, ByteString][] = [
    ["system", system],
    ["max-silent-time", maxSilentTime],
    ["timeout", timeout],
  ];
  const assignments = settings.map(
    ([name, value]): Assignment => ({ name: name as ByteString, value, source: fromCaller }),
  );
  const slotDirectory = io.env["NIX_CURRENT_LOAD"];
  return withHookStore(io, assignments, (store) => ({
    store,
    caller: callerOfOld(reader, store.storeDir, trace === "1" ? "printed" : "not-printed", (uri) =>
      uri.replace(/^ssh(-ng)?:\/\//, ""),
    ),
    // Nix 1.7's own hook does nothing without a directory to share slots in.
    machines: slotDirectory
      ? openMachines(store, {
          env: io.env,
          slotDirectory,
          slotPrefix: ({ systems, uri }) =>
            oldSlotPrefix(systems, parseStoreUri(uri).name.replace(/^ssh(-ng)?:\/\//, "")),
        })
      : [],
    ...commonOptions(store),
  }));
}

function commonOptions({ settings }: LocalStore): Pick<HookOptions, "settings" | "substitute" | "canBuildHere"> {
  return {
    settings: buildSettings(settings),
    substitute: settings.get("builders-use-substitutes") ? "use" : "no",
    canBuildHere: (requirements) => canBuildHere(settings, requirements),
  };
}

function canBuildHere(settings: Settings, { system, features }: MachineRequirements): boolean {
  const isSystem =
    system === "builtin" ||
    system === settings.get("system") ||
    settings.get("extra-platforms").includes(system as ByteString);
  return isSystem && features.every((feature) => settings.get("system-features").includes(feature as ByteString));
}

async function withHookStore(
  io: Io,
  assignments: readonly Assignment[],
  prepare: (store: LocalStore) => HookOptions,
): Promise<number> {
  const { settings } = loadSettings(io.env, directoriesFromEnvironment(io.env));
  // Settings of other versions than ours are none of our business.
  const understood = assignments.filter((assignment) => {
    let fits = resolveName(assignment.name) !== undefined;
    withSettings(settings, [assignment], () => {
      fits = false;
    });
    return fits;
  });
  const line = { given: new Map(), has: () => false, last: () => undefined, operands: [] };
  const session = openSession({ ...line, common: readCommonFlags(new Map(), () => 0, understood) }, io);
  return withStore(session, (store) => runHook(prepare(requireLocal(store))));
}
